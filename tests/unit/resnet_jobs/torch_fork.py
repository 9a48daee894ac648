"""Runs scripts as processes that have torch already: importing it costs a second each time.

    python3 torch_fork.py SOCKET      a process that imports torch, and forks for each client
    python3 torch_fork.py             a client: takes the place of the script that SCRIPT names

The client hands over its environment, folder, stdout and stderr, and ends as the script ends. The
socket's path is in TORCH_FORK. Both run on any Python: the first one is the system's.
"""

import json
import os
import runpy
import signal
import socket
import sys
from pathlib import Path


def serve(path):
    import torch  # noqa: F401 - what this is for

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks below
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    print("ready", flush=True)
    while True:
        client, _ = server.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            answer(client)
        client.close()


def answer(client):
    """In a fork of its own: run the script in another one and tell the client how it ended."""
    text, files, _, _ = socket.recv_fds(client, 1 << 20, 2)
    pid = os.fork()
    if pid == 0:
        client.close()
        os.dup2(files[0], 1)
        os.dup2(files[1], 2)
        become(json.loads(text))
    _, status = os.waitpid(pid, 0)
    client.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def become(wanted):
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(wanted["folder"])
    sys.argv = [wanted["script"]]
    sys.path[0] = str(Path(wanted["script"]).parent)
    status = 1
    try:
        runpy.run_path(wanted["script"], run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def ask(path):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    wanted = {
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "script": os.environ["SCRIPT"],
    }
    socket.send_fds(client, [json.dumps(wanted).encode()], [1, 2])
    sys.exit(int(client.recv(16)))


if __name__ == "__main__":
    serve(sys.argv[1]) if len(sys.argv) > 1 else ask(os.environ["TORCH_FORK"])
