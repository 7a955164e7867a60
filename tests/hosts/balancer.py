"""haproxy in front of a region: TCP, so that the gateways end TLS; health by GET of /readyz."""

import os
import subprocess

from tail import Tail
from tools import find
from wait import until

CONFIG = """
global
    maxconn 4000
    stats socket {folder}/haproxy.sock mode 600 level admin
defaults
    mode tcp
    # A line for each connection once a host has it: when it came, from which port, and which host.
    log stdout format raw daemon
    log-format "connection %Ts %cp %s"
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    retries 3
    option redispatch 1
listen senders
    bind {listen}
    balance roundrobin
    option httpchk GET /readyz
    http-check expect status 200
    # A host that says nothing any more: what is open to it ends after 3 s, what is
    # being opened goes to another.
    default-server check inter 500ms fall 2 rise 2
    option srvtcpka
    srvtcpka-idle 1s
    srvtcpka-intvl 1s
    srvtcpka-cnt 3
{servers}
"""
# The log has whole seconds.
SAME_SECONDS = 1.5
SERVER = "    server {name} {address}:{port} port {health} tcp-ut 3s\n"


class Balancer:
    def __init__(self, folder, listen, gateways):
        self.folder = folder
        servers = "".join(SERVER.format(**gateway) for gateway in gateways)
        path = os.path.join(folder, "haproxy.cfg")
        self.connections = Tail(os.path.join(folder, "haproxy.log"), str.split)
        with open(path, "w") as file:
            file.write(CONFIG.format(folder=folder, listen=listen, servers=servers))
        log = open(self.connections.path, "ab")
        self.process = subprocess.Popen([find("haproxy"), "-db", "-f", path], stdout=log, stderr=log)
        until("haproxy listens", lambda: os.path.exists(os.path.join(folder, "haproxy.sock")), seconds=10)

    def up(self):
        """Names of the servers that get connections now."""
        import socket
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(os.path.join(self.folder, "haproxy.sock"))
            client.sendall(b"show stat\n")
            text = b"".join(iter(lambda: client.recv(65536), b"")).decode()
        rows = [line.split(",") for line in text.splitlines() if line.startswith("senders,")]
        return {row[1] for row in rows if row[17].startswith("UP")} - {"FRONTEND", "BACKEND"}

    def host_of(self, connection):
        """Which host had a connection, told by its port and when it was opened; none if no host got it."""
        same = [(abs(int(line[1]) - connection["opened"]), line[3]) for line in self.connections.read()
                if line[:1] == ["connection"] and line[2] == str(connection["port"])]
        apart, host = min(same, default=(None, None))
        return host if same and apart <= SAME_SECONDS else None

    def stop(self):
        self.process.terminate()
        self.process.wait()
