# Every validation of this example rejects a bad value.

mock_provider "aws" {
  source = "../../mocks"
}

mock_provider "tls" {}

variables {
  bucket         = "company-lake"
  release_file   = "../../fixtures/lakewright-0.0.0-x86_64-linux.tar.gz"
  release_sha256 = "61d60d23d3a2011c5292c873faf3963c6db58b5a0c4ea6a6b53f68a3a205bf2b"
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

run "a_database_of_the_catalog_has_no_hyphen" {
  command = plan

  variables {
    glue_database = "my-lake"
  }

  expect_failures = [var.glue_database]
}
