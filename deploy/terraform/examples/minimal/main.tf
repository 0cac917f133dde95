# From an empty account: a network without internet, the lake, a coordinator that runs hourly and two workers.

locals {
  tags = { Environment = "trial" }
}

module "network" {
  source = "../../network"

  name = var.name
  tags = local.tags
  # Session Manager and the parameter store; the catalog if it is wanted.
  interface_endpoints = concat(["ssm", "ssmmessages"], var.glue_database == null ? [] : ["glue"])
}

module "lake" {
  source = "../../lake"

  name              = var.name
  tags              = local.tags
  lake_bucket       = var.bucket
  sources           = [{ bucket = var.bucket, prefix = "data" }]
  lake_toml         = local.lake_toml
  project_directory = local.repository
  release_file      = var.release_file
  release_sha256    = var.release_sha256
  glue_database     = var.glue_database
  force_destroy     = var.force_destroy
}

module "machines" {
  source = "../../ec2"

  lake                        = module.lake.machines
  vpc_id                      = module.network.vpc_id
  subnet_ids                  = module.network.subnet_ids
  endpoint_security_group_ids = [module.network.endpoint_security_group_id]
}
