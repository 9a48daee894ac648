"""Changes of a conversion: what each is predicted to do, and which is the smallest that helps."""
