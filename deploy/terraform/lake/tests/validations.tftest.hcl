# Every validation of this module rejects a bad value.

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

run "a_name_has_no_capitals" {
  command = plan

  variables {
    name = "Lake"
  }

  expect_failures = [var.name]
}

run "a_name_leaves_room_for_a_bucket" {
  command = plan

  variables {
    name = "a-name-that-is-much-too-long-for-it"
  }

  expect_failures = [var.name]
}

run "tags_of_aws_are_reserved" {
  command = plan

  variables {
    tags = { "aws:name" = "x" }
  }

  expect_failures = [var.tags]
}

run "a_bucket_has_no_dot" {
  command = plan

  variables {
    lake_bucket = "tests.lake"
    lake_toml   = "url = \"s3://tests.lake/lake\"\n[cluster]\nlisten = \"0.0.0.0:50051\""
  }

  expect_failures = [var.lake_bucket]
}

run "a_lake_prefix_has_no_slash_at_its_end" {
  command = plan

  variables {
    lake_prefix = "lake/"
  }

  expect_failures = [var.lake_prefix]
}

run "there_is_a_source" {
  command = plan

  variables {
    sources = []
  }

  expect_failures = [var.sources]
}

run "a_source_has_a_prefix" {
  command = plan

  variables {
    sources = [{ bucket = "tests-source", prefix = "" }]
  }

  expect_failures = [var.sources]
}

run "a_key_of_a_source_is_an_arn" {
  command = plan

  variables {
    source_kms_key_arns = ["alias/key"]
  }

  expect_failures = [var.source_kms_key_arns]
}

run "the_spool_is_kept_for_a_day" {
  command = plan

  variables {
    spool_expiration_days = 0
  }

  expect_failures = [var.spool_expiration_days]
}

run "unfinished_uploads_do_not_stay_for_weeks" {
  command = plan

  variables {
    abort_uploads_days = 30
  }

  expect_failures = [var.abort_uploads_days]
}

run "logs_are_kept_for_whole_days" {
  command = plan

  variables {
    log_expiration_days = 1.5
  }

  expect_failures = [var.log_expiration_days]
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

run "certificates_outlive_their_renewal" {
  command = plan

  variables {
    certificates_validity_days = 30
  }

  expect_failures = [var.certificates_validity_days]
}

run "the_name_in_the_certificate_is_one_of_dns" {
  command = plan

  variables {
    tls_name = "Coordinator"
  }

  expect_failures = [var.tls_name]
}

run "the_architecture_is_known" {
  command = plan

  variables {
    architecture = "riscv64"
  }

  expect_failures = [var.architecture]
}

run "the_release_is_for_the_architecture" {
  command = plan

  variables {
    architecture = "arm64"
  }

  expect_failures = [var.release_file]
}

run "the_checksum_is_that_of_the_release" {
  command = plan

  variables {
    release_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
  }

  expect_failures = [var.release_sha256]
}

run "the_bootstrap_script_exists" {
  command = plan

  variables {
    bootstrap_file = "no-such-file"
  }

  expect_failures = [var.bootstrap_file]
}

run "workers_can_reach_the_coordinator" {
  command = plan

  variables {
    lake_toml = "[lake]\nurl = \"s3://tests-lake/lake\""
  }

  expect_failures = [var.lake_toml]
}

run "a_loopback_address_is_not_for_workers" {
  command = plan

  variables {
    lake_toml = "[lake]\nurl = \"s3://tests-lake/lake\"\n[cluster]\nlisten = \"127.0.0.1:50051\""
  }

  expect_failures = [var.lake_toml]
}

run "lake_toml_names_the_lake" {
  command = plan

  variables {
    lake_toml = "[lake]\nurl = \"lake\"\n[cluster]\nlisten = \"0.0.0.0:50051\""
  }

  expect_failures = [var.lake_toml]
}

run "the_project_has_models" {
  command = plan

  variables {
    project_directory = "../mocks"
  }

  expect_failures = [var.project_directory]
}

run "a_database_has_no_hyphen" {
  command = plan

  variables {
    glue_database = "my-lake"
  }

  expect_failures = [var.glue_database]
}

run "a_principal_is_an_arn" {
  command = plan

  variables {
    vacuum_principal_arns = ["*"]
  }

  expect_failures = [var.vacuum_principal_arns]
}
