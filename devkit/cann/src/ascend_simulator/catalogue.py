"""ATC's errors: title, sentence and advice for each code that the simulator can give.

Codes, titles, the blanks and the short sentences that logs are searched for ("Value … for
parameter … is invalid", "No parser is registered for Op …") are the tool's interface and have its
wording. The other sentences, and every solution and cause, are ours. Used by errors.py.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One row of the catalogue; `{}` are the arguments, in the order in which ATC names them."""

    title: str
    sentence: str
    solution: str = ""
    cause: str = ""


_SHAPE = "Invalid_Argument_Tensor_Input_Shape"
_DYNAMIC = "Invalid_Argument_Tensor_Dynamic_Shape"
_ARGUMENT = "Invalid_Argument"
_ONNX = "Invalid_Argument_ONNX_Model_Data"
_OPEN_BATCH = "Open the batch of an input with -1, or give no batch profiles."
_HELP = "The options are listed in devkit/cann/README.md."

CATALOGUE: dict[str, Entry] = {
    "E10001": Entry(
        _ARGUMENT,
        "Value {} for parameter {} is invalid. Reason: {}",
        "Change the value as the reason says.",
    ),
    "E10002": Entry(
        _SHAPE,
        "Value {} for parameter --input_shape is invalid. Reason: {}. Write it as {}.",
        "Give each input by name, a colon, and whole numbers with commas; put ; between inputs.",
    ),
    "E10003": Entry(_ARGUMENT, "Value {} for parameter --{} is invalid. Reason: {}"),
    "E10004": Entry(_ARGUMENT, "--{} has no value.", "Give it a value or leave it out."),
    "E10005": Entry(
        _ARGUMENT,
        "Value {} for parameter --{} is invalid. It is a switch.",
        "Write true or false.",
    ),
    "E10006": Entry(
        _ARGUMENT,
        "Value {} for parameter --{} is invalid. It is a switch.",
        "Write 1 or 0.",
    ),
    "E10007": Entry(
        _ARGUMENT, "--{} is required. The value must be {}.", "Add it to the command line."
    ),
    "E10009": Entry(
        _DYNAMIC,
        "More than one kind of dynamic shape is asked for.",
        "Keep one of --dynamic_batch_size, --dynamic_image_size, --dynamic_dims and "
        "--input_shape_range, or none for a fixed shape.",
    ),
    "E10010": Entry(
        _ARGUMENT,
        "Value {} for parameter --log is invalid.",
        "The levels are debug, info, warning, error and null.",
    ),
    "E10011": Entry(
        _SHAPE,
        "Value {} for parameter --input_shape is invalid. The size {} is not above 0.",
        "Give every dimension a size, or say with an option like --dynamic_batch_size which sizes "
        "the open one takes.",
    ),
    "E10012": Entry(
        _SHAPE,
        "--dynamic_batch_size is given, but an input in --input_shape has no dimension.",
        _OPEN_BATCH,
    ),
    "E10013": Entry(_ARGUMENT, "Value {} for --{} is out of range.", _HELP),
    "E10014": Entry(_ARGUMENT, "Value {} for parameter --{} is invalid.", _HELP),
    "E10016": Entry(
        "Invalid_Argument_Operator_Name",
        "Opname {} specified in --{} is not found in the model.",
        "Use a name that the model has, and put ; between names.",
    ),
    "E10018": Entry(
        _DYNAMIC,
        "Value {} for shape {} is invalid. --dynamic_batch_size opens no other dimension than the "
        "batch.",
        "Give sizes to all dimensions but the first.",
    ),
    "E10021": Entry(
        _ARGUMENT,
        "Path for parameter --{} is too long. At most {} characters are taken.",
        "Use a shorter path.",
    ),
    "E10022": Entry(
        _ARGUMENT,
        "Path {} for parameter --{} ends in a folder.",
        "Put a file name behind it.",
    ),
    "E10031": Entry(
        _SHAPE,
        "--dynamic_batch_size is given, but no batch in --input_shape is -1.",
        _OPEN_BATCH,
        "The batch profiles have nothing that they could apply to.",
    ),
    "E10032": Entry(
        _ARGUMENT,
        "Failed to parse the JSON file {}. Reason: {}.",
        "Correct the file.",
    ),
    "E10034": Entry(
        _ARGUMENT,
        "Nodes (for example, {}) connected to AIPP must not be of type fp16.",
        "Take the input out of --input_fp16_nodes, or do without --insert_op_conf.",
    ),
    "E10035": Entry(_DYNAMIC, "{} profiles are fewer than the {} needed.", "Add profiles."),
    "E10036": Entry(_DYNAMIC, "{} profiles are more than the {} allowed.", "Drop some profiles."),
    "E10038": Entry(
        _DYNAMIC,
        "The profile {} is not above 0.",
        "Use profiles from 1 upwards.",
    ),
    "E10039": Entry(
        _DYNAMIC,
        "A profile is given twice.",
        "Name each profile once.",
    ),
    "E10041": Entry(
        "Invalid_Argument_Model",
        "Failed to load the model from {}.",
        "Make sure that the file is whole, that --framework names its kind, and that weights kept "
        "in other files lie beside it.",
    ),
    "E10047": Entry(_ARGUMENT, "--{} and --{} exclude each other.", "Drop one of the two."),
    "E10049": Entry(
        _SHAPE,
        "--input_shape has {} dimensions for an input that has {}.",
        "Give as many sizes as the model's input has dimensions.",
    ),
    "E10052": Entry(
        "Invalid_AIPP_Configuration",
        "AIPP configuration is invalid. Reason: {}.",
        "Correct the file of --insert_op_conf as the reason says.",
    ),
    "E10054": Entry(
        _ARGUMENT,
        "The required parameter {} for ATC is empty.",
        "Give it a value; put quotes round a value with blanks.",
    ),
    "E10055": Entry(
        "Not_Supported",
        "The operation is not supported. Reason: {}.",
        "Do without it, or convert with the real ATC.",
    ),
    "E10056": Entry(_ARGUMENT, "{} and {} exclude each other.", "Drop one of the two."),
    "E10057": Entry(_ARGUMENT, "{} and {} must be given together.", "Add the missing one."),
    "E13000": Entry(
        "File_Operation_Error_Invalid_Path",
        "Path {} is empty. Reason: {}.",
        "Correct the path.",
        "Nothing is there under this name.",
    ),
    "E13001": Entry(
        "File_Operation_Error_Open",
        "Failed to open file {}. Reason: {}.",
        "See to what the reason names.",
    ),
    "E13004": Entry("File_Operation_Error_Write", "Failed to write file {}. Reason: {}."),
    "E13026": Entry("File_Operation_Error_Invalid_Path", "Input path {} is invalid. Reason: {}"),
    "E16001": Entry(_ONNX, "The model has no {} node.", "Export the model with its inputs."),
    "E16004": Entry(_ONNX, "ONNX model has no graph.", "Export the model again."),
    "E16005": Entry(
        _ONNX,
        "The model has {} --domain_version fields, but only one is allowed.",
        "Export the model for one operator domain; nodes without a domain allow no second one.",
    ),
    "E19005": Entry(
        "Failure_to_Parse_File",
        "Failed to parse file {}.",
        "Correct the text at the place that the trace names.",
    ),
    "E19010": Entry(
        "Not_Supported_Operator",
        "No parser is registered for Op {}.",
    ),
    "E19999": Entry("Inner_Error", "Inner Error!"),
    "EZ3003": Entry(
        "Not_Supported_Operator",
        "No supported Ops kernel and engine are found for {}, optype {}.",
        "Make sure that the CANN image has the operators of your chip, or export the model without "
        "this operator.",
        "No operator library of this CANN has a kernel for it.",
    ),
}
