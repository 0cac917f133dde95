# Every validation of this example rejects a bad value.

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

run "a_region_is_one_of_aws" {
  command = plan

  variables {
    region = "Frankfurt"
  }

  expect_failures = [var.region]
}

run "a_name_has_no_capitals" {
  command = plan

  variables {
    name = "Lake"
  }

  expect_failures = [var.name]
}

run "a_bucket_has_no_dot" {
  command = plan

  variables {
    bucket = "company.lake"
  }

  expect_failures = [var.bucket]
}

run "the_release_exists" {
  command = plan

  variables {
    release_file = "no-such-file"
  }

  expect_failures = [var.release_file]
}

run "a_checksum_is_hexadecimal" {
  command = plan

  variables {
    release_sha256 = "sha256"
  }

  expect_failures = [var.release_sha256]
}

run "a_source_is_a_bucket" {
  command = plan

  variables {
    source_bucket = "Exports"
  }

  expect_failures = [var.source_bucket]
}

run "a_key_is_an_arn" {
  command = plan

  variables {
    kms_key_arn = "alias/key"
  }

  expect_failures = [var.kms_key_arn]
}

run "a_prefix_of_certificates_begins_with_a_slash" {
  command = plan

  variables {
    certificates_ssm_prefix = "certificates"
  }

  expect_failures = [var.certificates_ssm_prefix]
}

run "addresses_have_a_length" {
  command = plan

  variables {
    https_egress_cidrs = ["10.0.0.0"]
  }

  expect_failures = [var.https_egress_cidrs]
}

run "a_tag_is_not_empty" {
  command = plan

  variables {
    cost_centre = ""
  }

  expect_failures = [var.cost_centre]
}

run "a_network_is_named_by_its_id" {
  command = plan

  variables {
    vpc_id = "main"
  }

  expect_failures = [var.vpc_id]
}

run "a_subnet_is_named_by_its_id" {
  command = plan

  variables {
    subnet_ids = ["private"]
  }

  expect_failures = [var.subnet_ids]
}
