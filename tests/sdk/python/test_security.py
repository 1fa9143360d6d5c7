"""Servers that ask for a token, and servers that speak TLS."""

from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

import grpc
import pytest
from azure.core.credentials import AccessToken
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from durabletask.azuremanaged.client import DurableTaskSchedulerClient
from durabletask.azuremanaged.worker import DurableTaskSchedulerWorker
from durabletask.client import TaskHubGrpcClient
from durabletask.worker import TaskHubGrpcWorker

from server import Server

pytestmark = pytest.mark.beyond_memory


def echo(ctx, input):
    return input


class Credential:
    """Gives the same token to everybody, as an identity of some cloud would."""

    def get_token(self, *scopes, **_):
        return AccessToken("secret", 4102444800)


@pytest.fixture
def guarded(tmp_path: Path):
    """A server that lets in only who has a token."""
    server = Server(tmp_path, "--token", "secret")
    yield server
    server.stop()


@pytest.mark.parametrize("metadata", [None, [("authorization", "Bearer wrong")]])
def test_who_has_no_token_is_not_let_in(guarded: Server, metadata):
    with TaskHubGrpcClient(host_address=guarded.address, metadata=metadata) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.get_orchestration_state("x")
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    # It may have sent one, so "send a token" would mislead.
    assert "no token of this server came" in caught.value.details()


def test_who_has_the_token_is_let_in(guarded: Server):
    options = {
        "host_address": guarded.address,
        "taskhub": "default",
        "token_credential": Credential(),
        "secure_channel": False,
    }
    with DurableTaskSchedulerWorker(**options) as worker:
        worker.add_orchestrator(echo)
        worker.start()
        with DurableTaskSchedulerClient(**options) as client:
            instance = client.schedule_new_orchestration(echo, input=1)
            assert client.wait_for_orchestration_completion(instance).get_output() == 1


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of the loopback that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    alternatives = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (cert_file := folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (key_file := folder / "key.pem").write_bytes(key.private_bytes(pem, *plain))
    return cert_file, key_file


@pytest.fixture
def encrypted(tmp_path: Path):
    """A server that speaks TLS."""
    cert, key = certificate(tmp_path)
    server = Server(tmp_path, "--tls-cert", str(cert), "--tls-key", str(key))
    server.certificate = cert.read_bytes()
    yield server
    server.stop()


def test_client_and_worker_speak_tls(encrypted: Server):
    trust = grpc.ssl_channel_credentials(encrypted.certificate)
    with grpc.secure_channel(encrypted.address, trust) as channel:
        with TaskHubGrpcWorker(channel=channel) as worker:
            worker.add_orchestrator(echo)
            worker.start()
            with TaskHubGrpcClient(channel=channel) as client:
                instance = client.schedule_new_orchestration(echo, input=1)
                assert client.wait_for_orchestration_completion(instance).get_output() == 1


def test_who_speaks_no_tls_is_not_answered(encrypted: Server):
    with TaskHubGrpcClient(host_address=encrypted.address) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.get_orchestration_state("x")
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
