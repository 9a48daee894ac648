"""What pyproject.toml cannot say: packages are found, and templates/ travels inside one of them."""

from setuptools import find_packages, setup

TEMPLATES = "resnet_operator.templates"

setup(
    packages=[*find_packages("operator"), TEMPLATES],
    package_dir={"": "operator", TEMPLATES: "templates"},
    package_data={"resnet_operator.resolve": ["*.json"], TEMPLATES: ["*"]},
)
