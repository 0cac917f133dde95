# A network without a way to or from the internet.

mock_provider "aws" {
  source          = "../mocks"
  override_during = plan
}

variables {
  name = "tests"
}

run "subnets_are_private" {
  command = plan

  variables {
    zones = 3
  }

  assert {
    condition     = length(aws_subnet.private) == 3 && alltrue([for subnet in aws_subnet.private : !subnet.map_public_ip_on_launch])
    error_message = "No public addresses."
  }

  assert {
    condition     = length(distinct(aws_subnet.private[*].cidr_block)) == 3 && length(distinct(aws_subnet.private[*].availability_zone)) == 3
    error_message = "Each has its own addresses and zone."
  }

  assert {
    condition     = aws_route_table.private.route == toset([]) || length(aws_route_table.private.route) == 0
    error_message = "No way out."
  }
}

run "services_are_reached_inside" {
  command = plan

  variables {
    interface_endpoints = ["ssm", "sts"]
  }

  assert {
    condition     = aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.s3.service_name == "com.amazonaws.us-east-1.s3"
    error_message = "S3 by the free gateway."
  }

  assert {
    condition     = keys(aws_vpc_endpoint.interface) == ["ssm", "sts"] && alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled && endpoint.vpc_endpoint_type == "Interface"])
    error_message = "The others by interfaces."
  }
}

run "everything_has_tags" {
  command = plan

  variables {
    tags = { Environment = "tests" }
  }

  assert {
    condition     = alltrue([for made in concat([aws_vpc.this, aws_default_security_group.this, aws_route_table.private, aws_security_group.endpoints, aws_vpc_endpoint.s3], aws_subnet.private, values(aws_vpc_endpoint.interface)) : made.tags["Environment"] == "tests" && made.tags["Project"] == "lakewright"])
    error_message = "What is made has the tags."
  }

  assert {
    condition     = alltrue([for made in concat([aws_vpc.this], aws_subnet.private) : made.tags["for-use-with-amazon-emr-managed-policies"] == "true"])
    error_message = "EMR may use it."
  }
}
