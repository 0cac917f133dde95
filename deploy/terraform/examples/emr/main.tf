# One run on EMR: a cluster that is made, takes in what is new, and ends. Each apply after it has ended makes another.

locals {
  tags = { Environment = "trial" }
}

module "network" {
  source = "../../network"

  name = var.name
  tags = local.tags
  # The step takes the coordinator's role (sts), and nodes unlock their disks (kms).
  interface_endpoints = concat(["ssm", "ssmmessages", "sts", "kms"], var.glue_database == null ? [] : ["glue"])
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

module "cluster" {
  source = "../../emr"

  lake                        = module.lake.machines
  vpc_id                      = module.network.vpc_id
  subnet_ids                  = module.network.subnet_ids
  endpoint_security_group_ids = [module.network.endpoint_security_group_id]

  worker_instance_types = ["m7i.xlarge", "m7a.xlarge", "m6i.xlarge"]
  core                  = { on_demand = 1, spot = 1 }
}
