# Every validation of this module rejects a bad value.

mock_provider "aws" {
  source          = "../mocks"
  override_during = plan
}

variables {
  name = "tests"
}

run "a_name_has_no_capitals" {
  command = plan

  variables {
    name = "Lake"
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

run "addresses_are_private" {
  command = plan

  variables {
    cidr = "8.8.0.0/20"
  }

  expect_failures = [var.cidr]
}

run "a_network_has_room_for_its_subnets" {
  command = plan

  variables {
    cidr = "10.0.0.0/28"
  }

  expect_failures = [var.cidr]
}

run "there_are_not_more_zones_than_a_region_has" {
  command = plan

  variables {
    zones = 9
  }

  expect_failures = [var.zones]
}

run "an_endpoint_is_of_a_service_in_use" {
  command = plan

  variables {
    interface_endpoints = ["s4"]
  }

  expect_failures = [var.interface_endpoints]
}
