#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calls a Kubernetes container runtime interface (CRI, runtime.v1) as the kubelet does.

    cri.py SOCKET METHOD [REQUEST]     e.g.  cri.py /run/containerd.sock Version '{}'

REQUEST is JSON with the field names of the CRI's api.proto; the answer is printed as JSON. Knows
the messages and fields that the tests use; any other is an error. A call that fails prints the
server's words on stderr and ends with status 1.
"""
import json
import sys

import grpc

# Message: field name -> (number, type). A type is string, int, bool, a message, or one of these in
# a list (repeated); map is map<string, string>.
MESSAGES = {
    "Metadata": {"name": (1, "string"), "uid": (2, "string"), "namespace": (3, "string"),
                 "attempt": (4, "int")},
    "ContainerMetadata": {"name": (1, "string"), "attempt": (2, "int")},
    "Namespaces": {"network": (1, "int"), "pid": (2, "int"), "ipc": (3, "int"),
                   "target_id": (4, "string"), "userns_options": (5, "UserNamespace")},
    "Int64Value": {"value": (1, "int")},
    "SecurityProfile": {"profile_type": (1, "int"), "localhost_ref": (2, "string")},
    "SandboxSecurity": {"namespace_options": (1, "Namespaces"), "privileged": (6, "bool"),
                        "seccomp": (9, "SecurityProfile")},
    "SandboxLinux": {"cgroup_parent": (1, "string"), "security_context": (2, "SandboxSecurity"),
                     "sysctls": (3, "map")},
    "SandboxConfig": {"metadata": (1, "Metadata"), "hostname": (2, "string"),
                      "log_directory": (3, "string"), "labels": (6, "map"),
                      "annotations": (7, "map"), "linux": (8, "SandboxLinux")},
    "Resources": {"cpu_period": (1, "int"), "cpu_quota": (2, "int"), "cpu_shares": (3, "int"),
                  "memory_limit_in_bytes": (4, "int"), "oom_score_adj": (5, "int"),
                  "cpuset_cpus": (6, "string"), "cpuset_mems": (7, "string")},
    "Capability": {"add_capabilities": (1, ["string"]), "drop_capabilities": (2, ["string"])},
    "ContainerSecurity": {"capabilities": (1, "Capability"), "privileged": (2, "bool"),
                          "namespace_options": (3, "Namespaces"),
                          "run_as_user": (5, "Int64Value"), "readonly_rootfs": (7, "bool"),
                          "supplemental_groups": (8, ["int"]), "no_new_privs": (11, "bool"),
                          "run_as_group": (12, "Int64Value"), "masked_paths": (13, ["string"]),
                          "readonly_paths": (14, ["string"]),
                          "seccomp": (15, "SecurityProfile")},
    "ContainerLinux": {"resources": (1, "Resources"), "security_context": (2, "ContainerSecurity")},
    "ImageSpec": {"image": (1, "string")},
    "KeyValue": {"key": (1, "string"), "value": (2, "string")},
    "Mount": {"container_path": (1, "string"), "host_path": (2, "string"), "readonly": (3, "bool"),
              "propagation": (5, "int"), "uidMappings": (6, ["IdMapping"]),
              "gidMappings": (7, ["IdMapping"])},
    "IdMapping": {"host_id": (1, "int"), "container_id": (2, "int"), "length": (3, "int")},
    "UserNamespace": {"mode": (1, "int"), "uids": (2, ["IdMapping"]), "gids": (3, ["IdMapping"])},
    "Device": {"container_path": (1, "string"), "host_path": (2, "string"),
               "permissions": (3, "string")},
    "ContainerConfig": {"metadata": (1, "ContainerMetadata"), "image": (2, "ImageSpec"),
                        "command": (3, ["string"]), "args": (4, ["string"]),
                        "working_dir": (5, "string"), "envs": (6, ["KeyValue"]),
                        "mounts": (7, ["Mount"]), "devices": (8, ["Device"]),
                        "annotations": (10, "map"), "log_path": (11, "string"),
                        "tty": (14, "bool"), "linux": (15, "ContainerLinux")},
    "Sandbox": {"pod_sandbox_id": (1, "string")},
    "Container": {"container_id": (1, "string")},
    "Empty": {},
    "VersionResponse": {"version": (1, "string"), "runtime_name": (2, "string"),
                        "runtime_version": (3, "string")},
    "RunPodSandbox": {"config": (1, "SandboxConfig"), "runtime_handler": (2, "string")},
    "NetworkStatus": {"ip": (1, "string")},
    "SandboxStatus": {"id": (1, "string"), "state": (3, "int"), "network": (5, "NetworkStatus")},
    "StatusRequestSandbox": {"pod_sandbox_id": (1, "string"), "verbose": (2, "bool")},
    "SandboxStatusResponse": {"status": (1, "SandboxStatus"), "info": (2, "map")},
    "CreateContainer": {"pod_sandbox_id": (1, "string"), "config": (2, "ContainerConfig"),
                        "sandbox_config": (3, "SandboxConfig")},
    "StopContainer": {"container_id": (1, "string"), "timeout": (2, "int")},
    "StatusRequestContainer": {"container_id": (1, "string"), "verbose": (2, "bool")},
    "ContainerStatus": {"id": (1, "string"), "state": (3, "int"), "exit_code": (7, "int"),
                        "reason": (10, "string"), "message": (11, "string")},
    "ContainerStatusResponse": {"status": (1, "ContainerStatus"), "info": (2, "map")},
    "Update": {"container_id": (1, "string"), "linux": (2, "Resources")},
    "ExecSync": {"container_id": (1, "string"), "cmd": (2, ["string"]), "timeout": (3, "int")},
    "ExecSyncResponse": {"stdout": (1, "string"), "stderr": (2, "string"), "exit_code": (3, "int")},
    "UInt64Value": {"value": (1, "int")},
    "CpuUsage": {"timestamp": (1, "int"), "usage_core_nano_seconds": (2, "UInt64Value")},
    "MemoryUsage": {"timestamp": (1, "int"), "working_set_bytes": (2, "UInt64Value")},
    "ContainerStats": {"cpu": (2, "CpuUsage"), "memory": (3, "MemoryUsage")},
    "ContainerStatsResponse": {"stats": (1, "ContainerStats")},
    "ListedSandbox": {"id": (1, "string"), "metadata": (2, "Metadata")},
    "ListSandboxes": {"items": (1, ["ListedSandbox"])},
}

METHODS = {
    "Version": ("Empty", "VersionResponse"),
    "RunPodSandbox": ("RunPodSandbox", "Sandbox"),
    "StopPodSandbox": ("Sandbox", "Empty"),
    "RemovePodSandbox": ("Sandbox", "Empty"),
    "ListPodSandbox": ("Empty", "ListSandboxes"),
    "PodSandboxStatus": ("StatusRequestSandbox", "SandboxStatusResponse"),
    "CreateContainer": ("CreateContainer", "Container"),
    "StartContainer": ("Container", "Empty"),
    "StopContainer": ("StopContainer", "Empty"),
    "RemoveContainer": ("Container", "Empty"),
    "ContainerStatus": ("StatusRequestContainer", "ContainerStatusResponse"),
    "UpdateContainerResources": ("Update", "Empty"),
    "ExecSync": ("ExecSync", "ExecSyncResponse"),
    "ContainerStats": ("Container", "ContainerStatsResponse"),
}


def varint(n):
    """The protobuf form of an integer; negative ones as 64 bits."""
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def sized(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def encode_field(number, kind, value):
    if kind in ("int", "bool"):
        return varint(number << 3) + varint(int(value))
    if kind == "string":
        return sized(number, value.encode())
    return sized(number, encode(kind, value))


def encode(message, values):
    out = b""
    for name, value in values.items():
        if name not in MESSAGES[message]:
            sys.exit(f"cri.py: {message} has no field '{name}' here")
        number, kind = MESSAGES[message][name]
        if kind == "map":
            for key, text in value.items():
                out += encode_field(number, "KeyValue", {"key": key, "value": text})
        elif isinstance(kind, list):
            for one in value:
                out += encode_field(number, kind[0], one)
        else:
            out += encode_field(number, kind, value)
    return out


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def read_fields(data):
    """Yields number and value, an int or bytes, of each field."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        wire = tag & 7
        if wire == 0:
            value, at = read_varint(data, at)
        elif wire == 2:
            size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            size = 8 if wire == 1 else 4
            value, at = data[at:at + size], at + size
        yield tag >> 3, value


def decode_value(kind, value):
    if kind == "string":
        return value.decode(errors="replace")
    if kind in ("int", "bool"):
        return value - (1 << 64) if value >> 63 else value
    return decode(kind, value)


def decode(message, data):
    names = {number: (name, kind) for name, (number, kind) in MESSAGES[message].items()}
    values = {}
    for number, value in read_fields(data):
        if number not in names:
            continue
        name, kind = names[number]
        if kind == "map":
            entry = decode("KeyValue", value)
            values.setdefault(name, {})[entry.get("key", "")] = entry.get("value", "")
        elif isinstance(kind, list):
            values.setdefault(name, []).append(decode_value(kind[0], value))
        else:
            values[name] = decode_value(kind, value)
    return values


def main():
    socket, method = sys.argv[1:3]
    request, response = METHODS[method]
    values = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    # A Unix socket has no name to send; some servers refuse the one that would be made up.
    with grpc.insecure_channel("unix://" + socket,
                               options=[("grpc.default_authority", "localhost")]) as channel:
        call = channel.unary_unary("/runtime.v1.RuntimeService/" + method,
                                   request_serializer=lambda v: encode(request, v),
                                   response_deserializer=lambda d: decode(response, d))
        try:
            print(json.dumps(call(values, timeout=180)))
        except grpc.RpcError as e:
            print(e.details(), file=sys.stderr)
            return 1
    return 0


sys.exit(main())
