# Certificates for mTLS: made here, or given.

mock_provider "aws" {
  source          = "../mocks"
  override_during = plan
}

mock_provider "tls" {
  override_during = plan
}

variables {
  name              = "tests"
  tags              = { Environment = "tests" }
  lake_bucket       = "tests-lake"
  sources           = [{ bucket = "tests-source", prefix = "exports" }, { bucket = "tests-lake", prefix = "data" }]
  release_file      = "../fixtures/lakewright-0.0.0-x86_64-linux.tar.gz"
  release_sha256    = "61d60d23d3a2011c5292c873faf3963c6db58b5a0c4ea6a6b53f68a3a205bf2b"
  bootstrap_file    = "../fixtures/lake.toml"
  project_directory = "../fixtures"
  lake_toml         = <<-TOML
    [lake]
    url = "s3://tests-lake/lake"
    [cluster]
    listen = "0.0.0.0:50051"
  TOML
}

run "an_authority_signs_one_certificate_for_each_side" {
  command = plan

  variables {
    tls_name                   = "lake.example.com"
    certificates_validity_days = 100
  }

  assert {
    condition     = tls_self_signed_cert.ca[0].is_ca_certificate && tls_private_key.ca[0].algorithm == "ECDSA"
    error_message = "There is an authority."
  }

  assert {
    condition     = toset(tls_locally_signed_cert.this["coordinator"].allowed_uses) == toset(["digital_signature", "server_auth"]) && toset(tls_locally_signed_cert.this["worker"].allowed_uses) == toset(["digital_signature", "client_auth"])
    error_message = "The coordinator is a server, a worker is a client."
  }

  assert {
    condition     = tls_cert_request.this["coordinator"].dns_names == tolist(["lake.example.com"])
    error_message = "The certificate has the name by which workers call."
  }

  assert {
    condition     = alltrue([for certificate in tls_locally_signed_cert.this : certificate.validity_period_hours == 2400 && certificate.early_renewal_hours == 720])
    error_message = "They are valid for the days that were said, and renewed before."
  }
}

run "keys_are_encrypted_parameters" {
  command = plan

  assert {
    condition     = length(aws_ssm_parameter.certificate) == 5 && alltrue([for parameter in aws_ssm_parameter.certificate : parameter.type == "SecureString" && parameter.key_id == aws_kms_key.this[0].arn])
    error_message = "All five are encrypted with the key."
  }

  assert {
    condition     = aws_ssm_parameter.certificate["worker.key"].name == "/tests/certificates/worker.key" && contains(output.machines.arguments.worker, "ssm:/tests/certificates")
    error_message = "Machines are told where."
  }
}

run "given_certificates_are_used_and_none_made" {
  command = plan

  variables {
    certificates_ssm_prefix = "/company/lakewright"
  }

  assert {
    condition     = length(aws_ssm_parameter.certificate) == 0 && length(tls_private_key.this) == 0 && length(tls_private_key.ca) == 0
    error_message = "Nothing is made."
  }

  assert {
    condition     = contains(output.machines.arguments.worker, "ssm:/company/lakewright") && strcontains(output.machines.policies.install_worker, "parameter/company/lakewright/worker.key")
    error_message = "Machines are told where, and may read there."
  }
}
