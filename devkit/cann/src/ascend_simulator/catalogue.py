"""ATC's errors: title, sentence and advice for each code that the simulator can give.

Sentences as in the error registry of the open-sourced graph engine (hicann/ge,
base/common/error_registry) and its error-code guide. Used by errors.py.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One row of the catalogue; `{}` are the arguments, in the sentence's own order."""

    title: str
    sentence: str
    solution: str = ""
    cause: str = ""


_SHAPE = "Invalid_Argument_Tensor_Input_Shape"
_DYNAMIC = "Invalid_Argument_Tensor_Dynamic_Shape"
_ARGUMENT = "Invalid_Argument"
_ONNX = "Invalid_Argument_ONNX_Model_Data"
_THREE = "--dynamic_batch_size, --dynamic_image_size, or --dynamic_dims"

CATALOGUE: dict[str, Entry] = {
    "E10001": Entry(
        _ARGUMENT,
        "Value {} for parameter {} is invalid. Reason: {}",
        "Try again with a valid argument.",
    ),
    "E10002": Entry(
        _SHAPE,
        "Value {} for parameter --input_shape is invalid. Reason: {}. "
        "The value must be formatted as {}.",
        "The valid format is input_name1:n1,c1,h1,w1;input_name2:n2,c2,h2,w2. Replace input_name "
        "with node names. Ensure that the shape values are integers.",
    ),
    "E10003": Entry(_ARGUMENT, "Value {} for parameter --{} is invalid. Reason: {}"),
    "E10004": Entry(_ARGUMENT, "Value for --{} is empty.", "Set a valid parameter value."),
    "E10005": Entry(
        _ARGUMENT,
        "Value {} for parameter --{} is invalid. The value must be either true or false.",
        "Set a valid parameter value. The parameter value can only be true or false.",
    ),
    "E10006": Entry(
        _ARGUMENT,
        "Value {} for parameter --{} is invalid. The value must be either 1 or 0.",
        "Set a valid parameter value. The parameter value can only be 1 or 0.",
    ),
    "E10007": Entry(
        _ARGUMENT, "--{} is required. The value must be {}.", "Set a valid parameter value."
    ),
    "E10009": Entry(
        _DYNAMIC,
        "--dynamic_batch_size, --dynamic_image_size, --input_shape_range, and --dynamic_dims are "
        "mutually exclusive.",
        "1. In dynamic shape scenarios, include only one of these options in your command line.  "
        "2. In static shape scenarios, remove these options from your command line.",
    ),
    "E10010": Entry(
        _ARGUMENT,
        "Value {} for parameter --log is invalid.",
        "Select the value from debug, info, warning, error, and null.",
    ),
    "E10011": Entry(
        _SHAPE,
        "Value {} for parameter --input_shape is invalid. Shape values must be positive integers. "
        "The error value in the shape is {}.",
        "1. In static shape scenarios, set the shape values in --input_shape to positive integers. "
        "2. In dynamic shape scenarios, add the related dynamic-input option in your command line, "
        "such as --dynamic_batch_size, --dynamic_image_size, or --dynamic_dims.",
    ),
    "E10012": Entry(
        _SHAPE,
        "--dynamic_batch_size is included, but the dimension count of the dynamic-shape input "
        "configured in --input_shape is less than 1.",
        "1. In static shape scenarios, remove the --dynamic_batch_size option from your command "
        "line. 2. In dynamic shape scenarios, set the corresponding axis of the dynamic-shape "
        "input in --input_shape to -1.",
    ),
    "E10013": Entry(
        _ARGUMENT,
        "Value {} for --{} is out of range.",
        'Run the "atc -h" command to view the usage. For details, see ATC Instructions.',
    ),
    "E10014": Entry(
        _ARGUMENT,
        "Value {} for parameter --{} is invalid.",
        'Run the "atc -h" command to view the usage. For details, see ATC Instructions.',
    ),
    "E10016": Entry(
        "Invalid_Argument_Operator_Name",
        "Opname {} specified in --{} is not found in the model. Confirm whether this node name "
        "exists, or the node is not split with the specified delimiter ';'.",
        "Specify the name of an existing node in the graph.",
    ),
    "E10018": Entry(
        _DYNAMIC,
        "Value {} for shape {} is invalid. When --dynamic_batch_size is included, only batch size "
        "N can be -1 in --input_shape.",
        "Try again with a valid --input_shape argument. Make sure that non-batch size axes are "
        "not -1.",
    ),
    "E10021": Entry(
        _ARGUMENT,
        "Path for parameter --{} is too long. Keep the length within {}.",
        "The path name exceeds the maximum length. Specify a valid path name.",
    ),
    "E10022": Entry(
        _ARGUMENT,
        "Path {} for parameter --{} does not include the file name.",
        "Add the file name to the path.",
    ),
    "E10031": Entry(
        _SHAPE,
        "--dynamic_batch_size is included, but none of the nodes specified in --input_shape has a "
        "batch size equaling -1.",
        "1. In static shape scenarios, remove the --dynamic_batch_size option from your command "
        "line. 2. In dynamic shape scenarios, set the corresponding axis of the dynamic-shape "
        "input in --input_shape to -1.",
        "As --dynamic_batch_size is included, ensure that at least one of the nodes specified in "
        "--input_shape has a batch size equaling -1.",
    ),
    "E10035": Entry(
        _DYNAMIC,
        _THREE + " has {} profiles, which is less than the minimum {}.",
        f"Ensure that the number of profiles configured in {_THREE} is at least the minimum.",
    ),
    "E10036": Entry(
        _DYNAMIC,
        _THREE + " has {} profiles, which is greater than the maximum {}.",
        f"Ensure that the number of profiles configured in {_THREE} is at most the maximum.",
    ),
    "E10038": Entry(
        _DYNAMIC,
        "Dimension size {} is invalid. The value must be greater than 0.",
        f"Set the shape values of each profile to positive in {_THREE}.",
    ),
    "E10039": Entry(
        _DYNAMIC,
        f"The {_THREE} argument have duplicate profiles.",
        f"Check that the profiles configured in {_THREE} are unique.",
    ),
    "E10041": Entry(
        "Invalid_Argument_Model",
        "Failed to load the model from {}.",
        "1. Check that the model file is valid. 2. Check that the weight file or path is valid "
        "when the model is more than 2 GB. 3. Check that the --framework argument matches the "
        "actual framework of the model file.",
    ),
    "E10047": Entry(
        _ARGUMENT, "--{} and --{} are mutually exclusive.", "Remove either of them and try again."
    ),
    "E10049": Entry(
        _SHAPE,
        "Dimension count {} configured in --input_shape does not match dimension count {} of the "
        "node.",
        "Set the dimension count in --input_shape according to the dimension count of the node.",
    ),
    "E10054": Entry(
        _ARGUMENT,
        "The required parameter {} for ATC is empty. Another possible reason is that the values "
        'of some parameters are not enclosed by quotation marks ("").',
        "Check whether the command line parameter format is correct.",
    ),
    "E10055": Entry(
        "Not_Supported",
        "The operation is not supported. Reason: {}.",
        "Check whether the configured parameter or used function is supported.",
    ),
    "E10056": Entry(
        _ARGUMENT,
        "Cannot configure both parameters {} and {} simultaneously.",
        "The two parameters cannot be set at the same time. View the parameter descriptions by "
        "referring to the documentation.",
    ),
    "E13000": Entry(
        "File_Operation_Error_Invalid_Path",
        "Path {} is empty. Reason: {}.",
        "Try again with a valid directory.",
        "The file does not exist.",
    ),
    "E13001": Entry(
        "File_Operation_Error_Open",
        "Failed to open file {}. Reason: {}.",
        "Fix the error according to the error message.",
    ),
    "E13004": Entry("File_Operation_Error_Write", "Failed to write file {}. Reason: {}."),
    "E13026": Entry("File_Operation_Error_Invalid_Path", "Input path {} is invalid. Reason: {}"),
    "E16001": Entry(
        _ONNX,
        "The model has no {} node.",
        "Check whether the ONNX model contains the input node.",
    ),
    "E16004": Entry(
        _ONNX,
        "ONNX model has no graph.",
        "Invalid ONNX model. Modify the ONNX model and add the graph information.",
    ),
    "E16005": Entry(
        _ONNX,
        "The model has {} --domain_version fields, but only one is allowed.",
        "Invalid ONNX model. Modify the ONNX model. If no domain is specified on the operator "
        "node, only one domain can be specified on the model.",
    ),
    "E19010": Entry(
        "Not_Supported_Operator",
        "No parser is registered for Op {}.",
    ),
    "E19999": Entry("Inner_Error", "Inner Error!"),
    "EZ3003": Entry(
        "Not_Supported_Operator",
        "No supported Ops kernel and engine are found for {}, optype {}.",
        "1. Check that the OPP component is installed properly. 2. Submit an issue to request for "
        "the support of this operator type.",
        "The operator is not supported by the system. Therefore, no hit is found in any operator "
        "information library.",
    ),
}
