# An authority for this deployment alone, and two certificates that it signs. Their keys are in Terraform's state, so the
# state belongs in an encrypted bucket; who does not want that makes certificates and names them by `certificates_ssm_prefix`.

locals {
  make_certificates   = var.certificates_ssm_prefix == null
  certificates_prefix = local.make_certificates ? "/${var.name}/certificates" : var.certificates_ssm_prefix

  certificate_roles = local.make_certificates ? {
    coordinator = { dns_names = [var.tls_name], uses = ["digital_signature", "server_auth"] }
    worker      = { dns_names = [], uses = ["digital_signature", "client_auth"] }
  } : {}

  certificate_parameters = local.make_certificates ? {
    "ca"               = tls_self_signed_cert.ca[0].cert_pem
    "coordinator.cert" = tls_locally_signed_cert.this["coordinator"].cert_pem
    "coordinator.key"  = tls_private_key.this["coordinator"].private_key_pem_pkcs8
    "worker.cert"      = tls_locally_signed_cert.this["worker"].cert_pem
    "worker.key"       = tls_private_key.this["worker"].private_key_pem_pkcs8
  } : {}
}

locals {
  certificates_hash = local.make_certificates ? substr(sha256(join("", [
    tls_self_signed_cert.ca[0].cert_pem, tls_locally_signed_cert.this["coordinator"].cert_pem, tls_locally_signed_cert.this["worker"].cert_pem,
  ])), 0, 12) : ""
}

resource "tls_private_key" "ca" {
  count = local.make_certificates ? 1 : 0

  algorithm   = "ECDSA"
  ecdsa_curve = "P256"
}

resource "tls_self_signed_cert" "ca" {
  count = local.make_certificates ? 1 : 0

  private_key_pem       = tls_private_key.ca[0].private_key_pem
  is_ca_certificate     = true
  validity_period_hours = var.certificates_validity_days * 24
  early_renewal_hours   = 30 * 24
  allowed_uses          = ["cert_signing", "crl_signing", "digital_signature"]

  subject {
    common_name = "${var.name} authority"
  }
}

resource "tls_private_key" "this" {
  for_each = local.certificate_roles

  algorithm   = "ECDSA"
  ecdsa_curve = "P256"
}

resource "tls_cert_request" "this" {
  for_each = local.certificate_roles

  private_key_pem = tls_private_key.this[each.key].private_key_pem
  dns_names       = each.value.dns_names

  subject {
    common_name = "${var.name} ${each.key}"
  }
}

resource "tls_locally_signed_cert" "this" {
  for_each = local.certificate_roles

  cert_request_pem      = tls_cert_request.this[each.key].cert_request_pem
  ca_private_key_pem    = tls_private_key.ca[0].private_key_pem
  ca_cert_pem           = tls_self_signed_cert.ca[0].cert_pem
  validity_period_hours = var.certificates_validity_days * 24
  early_renewal_hours   = 30 * 24
  allowed_uses          = each.value.uses
}

resource "aws_ssm_parameter" "certificate" {
  # The names are known before the certificates are, and are no secret.
  for_each = local.make_certificates ? toset(["ca", "coordinator.cert", "coordinator.key", "worker.cert", "worker.key"]) : toset([])

  name        = "${local.certificates_prefix}/${each.value}"
  description = "Lakewright ${var.name}: ${each.value} for mTLS between coordinator and workers"
  type        = "SecureString"
  key_id      = local.kms_key_arn
  value       = local.certificate_parameters[each.value]
  tags        = local.tags
}
