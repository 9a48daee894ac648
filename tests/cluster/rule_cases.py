"""Every CEL rule: a spec that it refuses, what the answer must say, and the accepted neighbour."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RuleCase:
    """`refused` and `accepted` are changes to the smallest spec, by dotted path."""

    reason: str
    refused: dict[str, Any]
    message: str
    accepted: dict[str, Any]


SHA = "0123456789abcdef" * 4
KEY_127, KEY_253 = "i" * 127, "a" * 63 + "." + "b" * 189
KEY_317 = "a" * 253 + "/" + "b" * 63
SCHEMES = "write pvc://<claim>/<path>, configmap://<name>/<key>, http(s)://…, s3://<bucket>/<key>"
USERINFO = "remove the user and password from the URI"
DOTS = "write the name of the file behind the last '/'; dots alone are none"
PORT = "write the host as a name or address and the port as a number to 65535"
OCI_FORM = "write registry, repository and tag or digest"
HUB_FORM = "write the owner, the repository and the path of the file"
PVC = "write pvc://<claim>/<path to the file>, for example pvc://models/resnet50.onnx"
CONFIGMAP = "write configmap://<name>/<key>, for example configmap://models/digits.onnx"
HTTP = "write the host and the path of the file, without spaces"
CHIP = "write CPU, GPU or the soc version of the chip, for example Ascend310P3"
DIGEST = "write only the 64 hexadecimal digits, in lower case"
IMAGE = "write an image reference without scheme and spaces"
OBJECT = "write the object's name: lower-case letters, digits, '-' and '.'"
LABEL = "write a label value: letters, digits, '-', '_' and '.'"
LONG_KEY = "write keys of at most 317 characters"
DEVICE = "remove huawei.com/… and nvidia.com/… from resources; write spec.accelerator.count instead"
TOO_LARGE = "serving.batching.maxBatchSize may not be above the largest of conversion.batchSizes"
PREFERRED = "remove what is above the largest batch"
CPU_CONVERSION = "remove from conversion what is not batchSizes or inputShapes; chip CPU"
BFLOAT = "choose a precisionMode without bfloat16"
BALANCER = "write type: LoadBalancer, or remove loadBalancerClass and loadBalancerSourceRanges"
TRAFFIC = "write type: LoadBalancer or NodePort, or remove externalTrafficPolicy"
HOST = "write a host name in lower case, without scheme, port and path"
GATEWAY = {"parentRefs": [{"name": "public"}]}
INGRESS = {"serving.ingress": {"host": "a.example"}}
DISABLED = "remove preferredBatchSizes and maxQueueDelayMicroseconds, or write mode: Dynamic"
OUR_LABELS = "remove the labels app.kubernetes.io/… and serving.resnet-operator.io/…"


def case(
    reason: str, *, refused: dict[str, Any], message: str, accepted: dict[str, Any]
) -> RuleCase:
    return RuleCase(reason=reason, refused=refused, message=message, accepted=accepted)


def uri(reason: str, refused: str, message: str, accepted: str) -> RuleCase:
    return case(
        reason,
        refused={"model.uri": refused},
        message=message,
        accepted={"model.uri": accepted},
    )


def one(reason: str, path: str, refused: object, message: str, accepted: object) -> RuleCase:
    return case(reason, refused={path: refused}, message=message, accepted={path: accepted})


CPU: dict[str, Any] = {"accelerator.chip": "CPU"}
STORE = "resnet-store"
STORE_SECRET = "choose another Secret; resnet-store is the key and login of the artifact store"
# Every field that names a Secret, and how.
SECRETS: dict[str, Any] = {
    "model.credentialsSecretRef": {"name": "NAME"},
    "serving.tls.secretName": "NAME",
    "serving.ingress": {"host": "a.example", "tlsSecretName": "NAME"},
    "serving.imagePullSecrets": [{"name": "NAME"}],
    "serving.env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "NAME", "key": "key"}}}],
}


def _named(path: str, name: str) -> Any:
    return json.loads(json.dumps(SECRETS[path]).replace("NAME", name))


RULES = [
    uri("a scheme of another kind", "ftp://models/a.onnx", SCHEMES, "https://h/models/a.onnx"),
    uri("a path is no URI", "/models/a.onnx", SCHEMES, "pvc://models/a.onnx"),
    uri("schemes are lower case", "HTTPS://h/a.onnx", SCHEMES, "https://h/a.onnx"),
    uri("a password", "https://me:secret@h/a.onnx", USERINFO, "https://h/a.onnx"),
    uri("a user alone is a credential too", "http://me@h/a.onnx", USERINFO, "http://h/me@a.onnx"),
    uri("a claim without a file", "pvc://models", PVC, "pvc://models/a.onnx"),
    uri("a claim with an empty path", "pvc://models/", PVC, "pvc://models/a"),
    uri("a claim's name is lower case", "pvc://Models/a.onnx", PVC, "pvc://models/A.onnx"),
    uri("an absolute path in a claim", "pvc://models//a.onnx", PVC, "pvc://models/b/a.onnx"),
    uri("a ConfigMap without a key", "configmap://models", CONFIGMAP, "configmap://models/a.onnx"),
    uri("a key is no path", "configmap://m/a/b.onnx", CONFIGMAP, "configmap://m/a_b.onnx"),
    uri("dots for a file", "pvc://models/.", DOTS, "pvc://models/.a"),
    uri("dots for a folder and a file", "pvc://models/.../", DOTS, "pvc://models/.../a"),
    uri("dots for an object", "s3://bucket/./", DOTS, "s3://bucket/./a"),
    uri("dots in OBS", "obs://bucket/.", DOTS, "obs://bucket/.a.om"),
    uri("dots for a key of a ConfigMap", "configmap://m/.", DOTS, "configmap://m/.a"),
    uri("a port in letters", "https://h:port/a.onnx", PORT, "https://h:8443/a.onnx"),
    uri("a port too high", "https://h:65536/a.onnx", PORT, "https://h:65535/a.onnx"),
    uri("two ports", "https://h:1:2/a.onnx", PORT, "https://[fd00::1]:2/a.onnx"),
    uri("an open bracket", "https://[fd00::1/a.onnx", PORT, "https://[fd00::1]/a.onnx"),
    uri(
        "a repository that begins with a dash",
        "oci://r/-a:v1#a.onnx",
        OCI_FORM,
        "oci://r/a:v1#a.onnx",
    ),
    uri("a repository that ends with a dash", "oci://r/a-:v1", OCI_FORM, "oci://r/a-b:v1"),
    uri("a registry's name with a line below", "oci://r_x/a:v1", OCI_FORM, "oci://r-x:5000/a:v1"),
    uri("a hub's file of dots", "hf://a/b/.", HUB_FORM, "hf://a/b/.c"),
    uri("a repository of dots", "modelscope://a/..@v1", HUB_FORM, "hf://a/b..c/d.onnx"),
    uri("an owner of dots", "modelscope://./b/c", HUB_FORM, "modelscope://a.b/b/c"),
    uri("two lines", "https://h/a\nb", "write the address in one line", "https://h/ab"),
    uri("out of the claim", "pvc://m/a/../../b.onnx", "remove '..'", "pvc://m/a/..b/c...onnx"),
    uri("out of the claim at the end", "pvc://m/a/..", "remove '..'", "pvc://m/a/b.."),
    uri("a host without a path", "https://h", HTTP, "https://h/a"),
    uri("a host with nothing behind it", "https://h/", HTTP, "https://h/?id=1"),
    uri("a space", "https://h/my model.onnx", HTTP, "https://h/my%20model.onnx"),
    one("a digest with its algorithm", "model.sha256", f"sha256:{SHA}", DIGEST, SHA),
    one("a digest in upper case", "model.sha256", SHA.upper(), DIGEST, SHA),
    one("63 digits", "model.sha256", SHA[:63], DIGEST, SHA),
    one("a slash in Triton's model name", "model.name", "a/b", "write letters, digits", "a.b-c_1"),
    one("a name that begins with a dot", "model.name", ".a", "write letters, digits", "a."),
    one(
        "a ConfigMap's name is lower case",
        "model.classLabels.configMapKeyRef.name",
        "Labels",
        OBJECT,
        "labels.v2",
    ),
    one(
        "a key with a slash",
        "model.classLabels.configMapKeyRef.key",
        "a/labels.txt",
        "write the key in the ConfigMap",
        "..labels_TXT",
    ),
    one("as npu-smi prints it", "accelerator.chip", "310P3", CHIP, "Ascend310P3"),
    one("case matters to ATC", "accelerator.chip", "ascend310p3", CHIP, "Ascend310P1"),
    one("a chip of somebody else", "accelerator.chip", "A100", CHIP, "Ascend910_9392"),
    one("cpu in lower case", "accelerator.chip", "cpu", CHIP, "CPU"),
    one("a family", "accelerator.chip", "Ascend310P", "Ascend310P1, Ascend310P3", "Ascend310P7"),
    one(
        "a family of A2", "accelerator.chip", "Ascend310B", "Ascend310B1, Ascend310B2", "Ascend310"
    ),
    one(
        "a resource without a domain",
        "accelerator.resourceName",
        "Ascend310P",
        "write the resource as nodes show it, for example huawei.com/Ascend310P",
        "huawei.com/Ascend310P-2c.1cpu",
    ),
    one(
        "an image by URL", "conversion.image", "https://r/cann:8", IMAGE, "r:5000/cann:8@sha256:0a"
    ),
    one("an image with a space", "serving.image", "triton :1", IMAGE, "localhost/triton:1"),
    case(
        "only Auto waits for a device",
        refused={"rollout.strategy": "Surge", "rollout.surgeWaitSeconds": 5},
        message="remove surgeWaitSeconds, or write strategy: Auto",
        accepted={"rollout.strategy": "Auto", "rollout.surgeWaitSeconds": 5},
    ),
    case(
        "a wait as long as the default deadline",
        refused={"rollout.surgeWaitSeconds": 1800},
        message="write a surgeWaitSeconds below progressDeadlineSeconds",
        accepted={"rollout.surgeWaitSeconds": 1799},
    ),
    case(
        "a wait beyond the deadline",
        refused={"rollout.surgeWaitSeconds": 91, "rollout.progressDeadlineSeconds": 90},
        message="write a surgeWaitSeconds below progressDeadlineSeconds",
        accepted={"rollout.surgeWaitSeconds": 89, "rollout.progressDeadlineSeconds": 90},
    ),
    *(
        case(
            f"no side by side with {strategy}",
            refused={"rollout.strategy": strategy, "rollout.analysis": {}},
            message="remove analysis, or write strategy Auto or Surge",
            accepted={"rollout.strategy": "Surge", "rollout.analysis": {}},
        )
        for strategy in ("Replace", "Recreate")
    ),
    case(
        "nothing is withdrawn with Hold",
        refused={"rollout.onFailure": "Hold", "rollout.analysis": {}},
        message="remove analysis, or write onFailure: Rollback",
        accepted={"rollout.onFailure": "Rollback", "rollout.analysis": {}},
    ),
    *(
        one(why, "rollout.analysis.steps", steps, "write rising steps", [10, 50, 100])
        for why, steps in (("steps that fall", [50, 10, 100]), ("a step twice", [10, 10, 100]))
    ),
    case(
        "copies of a part of the requests",
        refused={
            "rollout.analysis": {"mode": "Mirror", "steps": [10]},
            "serving.httpRoute": GATEWAY,
        },
        message="remove steps, or write mode: Share",
        accepted={"rollout.analysis": {"mode": "Mirror"}, "serving.httpRoute": GATEWAY},
    ),
    *(
        case(
            f"copies that no Gateway makes{why}",
            refused={"rollout.analysis.mode": "Mirror", **other},
            message="write serving.httpRoute, or rollout.analysis.mode: Share",
            accepted={"rollout.analysis.mode": mode, **fine},
        )
        for why, other, mode, fine in (
            ("", {}, "Share", {}),
            (": an Ingress is none", INGRESS, "Mirror", {**INGRESS, "serving.httpRoute": GATEWAY}),
        )
    ),
    one(
        "an increase in per cent",
        "rollout.analysis.maxP99Increase",
        "50%",
        "write a decimal in quotes, for example '0.5'",
        "0.5",
    ),
    one(
        "a revision by its number",
        "rollout.pinRevision",
        "3",
        "write the name of a revision as status.revisions has it",
        "resnet50-0a1b2c3d4e",
    ),
    one("a batch size twice", "conversion.batchSizes", [1, 2, 2], "remove the repeated", [1, 2]),
    one("unsorted", "conversion.batchSizes", [4, 2, 8], "in ascending order", [2, 4, 8]),
    one("falling at the end", "conversion.batchSizes", [1, 8, 4], "in ascending order", [8]),
    one(
        "an input name without end",
        "conversion.inputShapes",
        {KEY_127 + "i": [3]},
        "write keys of at most 127 characters",
        {KEY_127: [3]},
    ),
    one("no input name", "conversion.inputShapes", {"": [3]}, "remove the empty key", {"x": []}),
    *[
        one(f"a device in {part}.resources.{kind}", f"{part}.resources.{kind}", refused, DEVICE, ok)
        for part in ("conversion", "serving")
        for kind in ("requests", "limits")
        for refused, ok in [({"huawei.com/Ascend310P": 1}, {"cpu": 2, "memory": "4Gi"})]
    ],
    *[
        one(
            f"a resource name without end in {part}.resources.{kind}",
            f"{part}.resources.{kind}",
            {KEY_253 + "c": 1},
            "write keys of at most 253 characters",
            {KEY_253: 1},
        )
        for part in ("conversion", "serving")
        for kind in ("requests", "limits")
    ],
    *[
        one(
            f"a label key without end in {path}",
            path,
            {KEY_317 + "c": ""},
            "at most 317",
            {KEY_317: ""},
        )
        for path in ("conversion.nodeSelector", "serving.nodeSelector", "serving.podLabels")
    ],
    *[
        one(f"no label value in {path}", path, {"a": "b c"}, LABEL, {"a": "B_c-1"})
        for path in ("conversion.nodeSelector", "serving.nodeSelector", "serving.podLabels")
    ],
    case(
        "the operator's own label would break its selector",
        refused={"serving.podLabels": {"app.kubernetes.io/instance": "x"}},
        message=OUR_LABELS,
        accepted={"serving.podLabels": {"example.com/team": "vision"}},
    ),
    one(
        "the operator's own label domain",
        "serving.podLabels",
        {"serving.resnet-operator.io/artifact": "x"},
        OUR_LABELS,
        {"io.serving": "x"},
    ),
    one("no object name", "serving.priorityClassName", "High", OBJECT, "high"),
    one("no object name", "serving.serviceAccountName", "a_b", OBJECT, "a-b"),
    one("no object name", "serving.imagePullSecrets", [{"name": "A"}], OBJECT, [{"name": "a"}]),
    *[
        case(
            f"{field} is a load balancer's",
            refused={"serving.service": {"type": "NodePort", field: value}},
            message=BALANCER,
            accepted={"serving.service": {"type": "LoadBalancer", field: value}},
        )
        for field, value in [
            ("loadBalancerClass", "example.com/internal"),
            ("loadBalancerSourceRanges", ["10.0.0.0/8"]),
        ]
    ],
    case(
        "traffic inside the cluster has no policy of the outside",
        refused={"serving.service": {"externalTrafficPolicy": "Local"}},
        message=TRAFFIC,
        accepted={"serving.service": {"type": "NodePort", "externalTrafficPolicy": "Local"}},
    ),
    case(
        "a class with a blank",
        refused={"serving.service": {"type": "LoadBalancer", "loadBalancerClass": "a b"}},
        message="write the load balancer's class",
        accepted={"serving.service": {"type": "LoadBalancer", "loadBalancerClass": "a/b"}},
    ),
    one(
        "more pods at least than at most",
        "serving.autoscaling",
        {"minReplicas": 3, "maxReplicas": 2},
        "write a maxReplicas that is not below minReplicas",
        {"minReplicas": 2, "maxReplicas": 2},
    ),
    one(
        "nobody knows how many requests a pod can take",
        "serving.autoscaling",
        {"maxReplicas": 2, "target": "Requests"},
        "write value: how many requests a second one pod may get",
        {"maxReplicas": 2, "target": "Requests", "value": 100},
    ),
    one(
        "a flag that is the operator's",
        "serving.extraArgs",
        ["--log-verbose=1", "--model-control-mode=explicit"],
        "write --NAME=VALUE with one of: --buffer-manager-thread-count",
        ["--log-verbose=1", "--cache-config=local,size=1048576"],
    ),
    one(
        "two flags in one",
        "serving.extraArgs",
        ["--log-verbose=1 --http-port=1"],
        "write --NAME=VALUE with one of: --buffer-manager-thread-count",
        ["--log-verbose=1"],
    ),
    case(
        "traces twice",
        refused={
            "serving.tracing": {"otlpEndpoint": "http://a:4318"},
            "serving.extraArgs": ["--trace-config=rate=1"],
        },
        message="write serving.tracing, or --trace-config in extraArgs, but not both",
        accepted={
            "serving.tracing": {"otlpEndpoint": "http://a:4318"},
            "serving.extraArgs": ["--log-info=1"],
        },
    ),
    one(
        "a collector without a scheme",
        "serving.tracing.otlpEndpoint",
        "collector:4317",
        "write the collector's OTLP/HTTP address",
        "http://collector:4318",
    ),
    one("a URL for a host", "serving.ingress.host", "https://a.example", HOST, "a.example"),
    one("a host with a port", "serving.ingress.host", "a.example:80", HOST, "*.a.example"),
    one(
        "a Gateway's name",
        "serving.httpRoute",
        {"parentRefs": [{"name": "Public"}]},
        OBJECT,
        GATEWAY,
    ),
    one(
        "a path in a host name",
        "serving.httpRoute",
        {**GATEWAY, "hostnames": ["a.example/v2"]},
        HOST,
        {**GATEWAY, "hostnames": ["a.example"]},
    ),
    *(
        one(
            f"the store's key in {path}", path, _named(path, STORE), STORE_SECRET, _named(path, "a")
        )
        for path in SECRETS
    ),
    one("no object name", "serving.tls.secretName", "A", OBJECT, "a"),
    one("above the default profiles", "serving.batching.maxBatchSize", 9, TOO_LARGE, 8),
    case(
        "above the declared profiles",
        refused={"conversion.batchSizes": [1, 4], "serving.batching.maxBatchSize": 8},
        message=TOO_LARGE,
        accepted={"conversion.batchSizes": [1, 16], "serving.batching.maxBatchSize": 16},
    ),
    one(
        "a preferred size no profile has",
        "serving.batching.preferredBatchSizes",
        [9],
        PREFERRED,
        [8],
    ),
    case(
        "a preferred size above maxBatchSize",
        refused={"serving.batching": {"maxBatchSize": 4, "preferredBatchSizes": [4, 8]}},
        message=PREFERRED,
        accepted={"serving.batching": {"maxBatchSize": 4, "preferredBatchSizes": [2, 4]}},
    ),
    case(
        "a preferred size above the declared profiles",
        refused={"conversion.batchSizes": [4], "serving.batching.preferredBatchSizes": [8]},
        message=PREFERRED,
        accepted={"conversion.batchSizes": [16], "serving.batching.preferredBatchSizes": [16]},
    ),
    case(
        "preferred sizes without batching would be ignored",
        refused={"serving.batching": {"mode": "Disabled", "preferredBatchSizes": [8]}},
        message=DISABLED,
        accepted={"serving.batching": {"mode": "Dynamic", "preferredBatchSizes": [8]}},
    ),
    case(
        "a queue delay without batching would be ignored",
        refused={"serving.batching": {"mode": "Disabled", "maxQueueDelayMicroseconds": 0}},
        message=DISABLED,
        accepted={"serving.batching": {"mode": "Disabled", "maxBatchSize": 8}},
    ),
    case(
        "a CPU has no device resource",
        refused=CPU | {"accelerator.resourceName": "huawei.com/Ascend310P"},
        message="remove accelerator.resourceName; chip CPU asks for no device",
        accepted={"accelerator.resourceName": "huawei.com/Ascend310P"},
    ),
    case(
        "a CPU is not counted",
        refused=CPU | {"accelerator.count": 1},
        message="remove accelerator.count; chip CPU asks for no device",
        accepted={"accelerator.count": 1},
    ),
    *[
        case(
            f"{field} is ATC's, and a CPU has no ATC",
            refused=CPU | {f"conversion.{field}": value},
            message=CPU_CONVERSION,
            accepted=CPU | {"conversion.batchSizes": [1, 8]},
        )
        for field, value in [
            ("precisionMode", "ForceFP16"),
            ("opSelectImplMode", "HighPrecision"),
            ("image", "cann:8"),
        ]
    ],
    *[
        case(
            f"{chip} has no bfloat16 for {mode}",
            refused={"accelerator.chip": chip, "conversion.precisionMode": mode},
            message=BFLOAT,
            accepted={"accelerator.chip": other, "conversion.precisionMode": mode},
        )
        for chip, other in [("Ascend310P3", "Ascend910B4"), ("Ascend910B", "Ascend310B4")]
        for mode in ("AllowFP32ToBF16", "AllowMixPrecisionBF16", "MixedBFloat16")
    ],
]

NAME_MESSAGE = "write a metadata.name of at most 40 lower-case letters, digits and '-'"
RESERVED_NAME = "choose another metadata.name; resnet-store, resnet-operator and rns-… are names"
NAMES = [
    # name, what is said against it, reason
    ("a" * 40, None, "40 characters leave room for what children's names add"),
    ("a" * 41, NAME_MESSAGE, "one more would make a child's name too long"),
    ("resnet50-v2", None, "the usual name"),
    ("50-resnet", NAME_MESSAGE, "a Service's name begins with a letter"),
    ("resnet.v2", NAME_MESSAGE, "a Service's name has no dots"),
    ("resnet-store", RESERVED_NAME, "the store of the namespace: it would take its Deployment"),
    ("resnet-stores", None, "a name that only begins so"),
    ("resnet-operator", RESERVED_NAME, "the operator itself"),
    ("rns-0123456789abcdef", RESERVED_NAME, "a record, or a Job with its attempt"),
    ("rns-runtime-0123456789", RESERVED_NAME, "the files of a runtime"),
    ("rns", None, "the short name alone"),
    ("my-rns-a", None, "the prefix in the middle"),
]
