"""Apache Kafka itself: one broker on loopback, started and stopped by process id.

`make services` puts its jars into `.services/kafka`. One broker serves all tests of a run:
three doors (plain, SCRAM, TLS), topics named by each test. It is told to tidy its log every
half second, so that compaction and retention happen while a test waits for them.
"""

import datetime
import ipaddress
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).resolve().parents[2]
LIBS = ROOT / ".services" / "kafka" / "libs"
CLUSTER = "Chaski-Kafka-Tests-000"
USER, PASSWORD = "nodo", "quinua-y-papa"
START_SECONDS = 180.0

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
listeners=PLAIN://127.0.0.1:{plain},SCRAM://127.0.0.1:{scram},TLS://127.0.0.1:{tls},\
CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAIN:PLAINTEXT,SCRAM:SASL_PLAINTEXT,TLS:SASL_SSL,\
CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-256
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location={keystore}
listener.name.scram.scram-sha-256.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.tls.scram-sha-256.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.check.interval.ms=500
log.initial.task.delay.ms=500
log.cleaner.backoff.ms=500
log.segment.delete.delay.ms=500
group.initial.rebalance.delay.ms=0
"""


def installed() -> bool:
    """True when `make services` has been here."""
    return (LIBS.parent / "installed").exists()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()


def until(true: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Returns as soon as `true`; a machine that never gets there fails the test."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what}: not in {seconds:.0f} s"
        time.sleep(0.1)  # another process works; there is nothing to be told by


@dataclass
class Broker:
    """One running broker. The doors are addresses host:port."""

    folder: Path
    plain: str
    scram: str
    tls: str
    ca: Path
    process: "subprocess.Popen[bytes] | None" = None

    @classmethod
    def prepare(cls, folder: Path) -> "Broker":
        """Settings, keys and an empty log in `folder`."""
        plain, scram, tls, controller = free_ports(4)
        ca = certificate(folder / "server.pem", folder / "ca.pem")
        text = PROPERTIES.format(
            plain=plain,
            scram=scram,
            tls=tls,
            controller=controller,
            keystore=folder / "server.pem",
            data=folder / "data",
        )
        (folder / "server.properties").write_text(text)
        doors = [f"127.0.0.1:{port}" for port in (plain, scram, tls)]
        made = cls(folder, doors[0], doors[1], doors[2], ca)
        user = f"SCRAM-SHA-256=[name={USER},password={PASSWORD}]"
        subprocess.run(
            [*java(), "kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER,
             "--config", str(folder / "server.properties"), "--add-scram", user],
            check=True, capture_output=True,
        )  # fmt: skip
        return made

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [*java(), "kafka.Kafka", str(self.folder / "server.properties")],
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        until(self._answers, f"Kafka in {self.folder}")

    def stop(self) -> None:
        """Ends the process that `start` began."""
        if self.process is not None:
            os.kill(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        assert self.process
        log = self.folder / "log.txt"
        assert self.process.poll() is None, log.read_text()[-3000:]
        host, port = self.plain.split(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0


def java() -> list[str]:
    """The command line up to the name of the class."""
    return [
        "java", "-Xmx384m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{LIBS}/*",
    ]  # fmt: skip


def certificate(server: Path, ca: Path) -> Path:
    """A key and certificate for 127.0.0.1 in `server`; the certificate alone in `ca`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    server.write_bytes(private + pem)
    server.chmod(0o600)
    ca.write_bytes(pem)
    return ca
