# Every validation of this module rejects a bad value.

mock_provider "aws" {
  source          = "../mocks"
  override_during = plan
}

variables {
  lake = {
    name              = "tests"
    tags              = { Project = "lakewright", Environment = "tests" }
    architecture      = "x86_64"
    kms_key_arn       = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    artifacts_bucket  = "tests-artifacts"
    project_prefix    = "project/1"
    certificates_hash = "0123456789ab"
    glue_database     = null
    bootstrap         = { url = "s3://tests-artifacts/bootstrap/bootstrap-1.sh", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
    arguments         = { worker = ["--certificates", "ssm:/it's"], coordinator = ["--project", "s3://tests-artifacts/project/1/"] }
    policies          = { worker = "{}", coordinator = "{}", install_worker = "{}", install_coordinator = "{}" }
  }
  vpc_id                      = "vpc-0a1b2c3d"
  subnet_ids                  = ["subnet-0a", "subnet-0b"]
  endpoint_security_group_ids = ["sg-0e"]
}

run "a_network_is_named_by_its_id" {
  command = plan

  variables {
    vpc_id = "main"
  }

  expect_failures = [var.vpc_id]
}

run "there_is_a_subnet" {
  command = plan

  variables {
    subnet_ids = []
  }

  expect_failures = [var.subnet_ids]
}

run "a_subnet_is_named_by_its_id" {
  command = plan

  variables {
    subnet_ids = ["private"]
  }

  expect_failures = [var.subnet_ids]
}

run "a_group_is_named_by_its_id" {
  command = plan

  variables {
    endpoint_security_group_ids = ["default"]
  }

  expect_failures = [var.endpoint_security_group_ids]
}

run "addresses_have_a_length" {
  command = plan

  variables {
    https_egress_cidrs = ["10.0.0.0"]
  }

  expect_failures = [var.https_egress_cidrs]
}

run "an_image_is_named_by_its_id" {
  command = plan

  variables {
    ami_id = "al2023"
  }

  expect_failures = [var.ami_id]
}

run "the_coordinator_is_of_the_architecture" {
  command = plan

  variables {
    coordinator_instance_type = "m7g.large"
  }

  expect_failures = [var.coordinator_instance_type]
}

run "there_is_a_type_of_workers" {
  command = plan

  variables {
    worker_instance_types = []
  }

  expect_failures = [var.worker_instance_types]
}

run "workers_are_of_one_architecture" {
  command = plan

  variables {
    worker_instance_types = ["m7i.xlarge", "m7g.xlarge"]
  }

  expect_failures = [var.worker_instance_types]
}

run "there_is_a_worker" {
  command = plan

  variables {
    worker_count = 0
  }

  expect_failures = [var.worker_count]
}

run "not_more_are_on_demand_than_there_are" {
  command = plan

  variables {
    worker_count      = 2
    on_demand_workers = 3
  }

  expect_failures = [var.on_demand_workers]
}

run "hours_are_as_cron_writes_them" {
  command = plan

  variables {
    worker_hours = { start = "hourly", stop = "0 4 * * *" }
  }

  expect_failures = [var.worker_hours]
}

run "a_schedule_is_no_shell" {
  command = plan

  variables {
    run_schedule = "hourly; reboot"
  }

  expect_failures = [var.run_schedule]
}

run "a_volume_holds_the_system" {
  command = plan

  variables {
    root_volume_gib = 4
  }

  expect_failures = [var.root_volume_gib]
}

run "memory_of_workers_has_a_unit" {
  command = plan

  variables {
    worker_memory = "12"
  }

  expect_failures = [var.worker_memory]
}

run "memory_of_the_coordinator_has_a_unit" {
  command = plan

  variables {
    coordinator_memory = "much"
  }

  expect_failures = [var.coordinator_memory]
}
