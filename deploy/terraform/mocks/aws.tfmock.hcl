# What a mocked AWS answers. Everything else that AWS would make up is a random word.

mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
}

mock_data "aws_region" {
  defaults = { region = "us-east-1" }
}

mock_data "aws_availability_zones" {
  defaults = { names = ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"] }
}

mock_data "aws_ec2_managed_prefix_list" {
  defaults = { id = "pl-63a5400a" }
}

mock_resource "aws_kms_key" {
  defaults = {
    arn    = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    key_id = "11111111-2222-3333-4444-555555555555"
  }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/made" }
}

mock_resource "aws_iam_instance_profile" {
  defaults = { arn = "arn:aws:iam::123456789012:instance-profile/made" }
}

mock_resource "aws_vpc" {
  defaults = { id = "vpc-0a1b2c3d" }
}

mock_resource "aws_subnet" {
  defaults = { id = "subnet-0a1b2c3d" }
}

mock_resource "aws_security_group" {
  defaults = { id = "sg-0a1b2c3d" }
}

mock_resource "aws_network_interface" {
  defaults = { private_ip = "10.60.0.10" }
}

mock_resource "aws_launch_template" {
  defaults = { id = "lt-0a1b2c3d", latest_version = 1 }
}

mock_resource "aws_emr_cluster" {
  defaults = { id = "j-1ABCDEFGHIJKL" }
}
