# The example whole, with a mocked AWS.

mock_provider "aws" {
  source = "../../mocks"
}

mock_provider "tls" {}

variables {
  bucket                  = "company-lake"
  release_file            = "../../fixtures/lakewright-0.0.0-aarch64-linux.tar.gz"
  release_sha256          = "df315a63b398fb05eff8bcdbe95cc7e7f1698bea3770c96214fca9d7300dd829"
  source_bucket           = "company-exports"
  kms_key_arn             = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  certificates_ssm_prefix = "/company/lakewright"
  vpc_id                  = "vpc-0a1b2c3d"
  subnet_ids              = ["subnet-0a", "subnet-0b"]
  https_egress_cidrs      = ["10.0.0.0/8"]
  cost_centre             = "analytics"
}

run "whole" {
  command = apply
}
