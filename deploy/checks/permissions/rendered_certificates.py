"""Creates the certificates that the rendered tls_* resources describe, with their curve, uses and
names.
"""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CURVES = {"P256": ec.SECP256R1, "P384": ec.SECP384R1}
KEY_USES = {"digital_signature": "digital_signature", "cert_signing": "key_cert_sign", "crl_signing": "crl_sign"}
EXTENDED_USES = {"server_auth": ExtendedKeyUsageOID.SERVER_AUTH, "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH}
ALL_KEY_USES = [
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
]


def write_certificates(folder, resources, host):
    """Writes ca.pem, and NAME.pem with NAME.key for both sides. Replaces the coordinator's name by
    `host`, which this machine can resolve.
    """
    at = {address.removeprefix("module.lake."): values for address, values in resources.items()}
    ca = at["tls_self_signed_cert.ca[0]"]
    ca_key = private_key(at["tls_private_key.ca[0]"])
    ca_name = common_name(ca)
    authority = signed(ca_name, ca_name, ca_key.public_key(), ca_key, ca["allowed_uses"], [], ca["is_ca_certificate"])
    (folder / "ca.pem").write_bytes(authority.public_bytes(Encoding.PEM))
    for side in ("coordinator", "worker"):
        key = private_key(at[f'tls_private_key.this["{side}"]'])
        request = at[f'tls_cert_request.this["{side}"]']
        uses = at[f'tls_locally_signed_cert.this["{side}"]']["allowed_uses"]
        names = [host for _ in request["dns_names"] or []]
        certificate = signed(common_name(request), ca_name, key.public_key(), ca_key, uses, names, False)
        (folder / f"{side}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (folder / f"{side}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def private_key(resource):
    return ec.generate_private_key(CURVES[resource["ecdsa_curve"]]())


def common_name(resource):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, resource["subject"][0]["common_name"])])


def signed(subject, issuer, public_key, issuer_key, uses, names, is_ca):
    now = datetime.now()
    builder = x509.CertificateBuilder(issuer, subject, public_key, x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    key_uses = {KEY_USES[use] for use in uses if use in KEY_USES}
    builder = builder.add_extension(x509.KeyUsage(**{use: use in key_uses for use in ALL_KEY_USES}), critical=True)
    extended = [EXTENDED_USES[use] for use in uses if use in EXTENDED_USES]
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
