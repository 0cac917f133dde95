# Nightly runs on spot instances: one worker in ten is on-demand, the rest come from whichever of five types and three
# zones has the most capacity left. Workers exist from a quarter to two until four.

locals {
  tags = { Environment = "production" }
}

module "network" {
  source = "../../network"

  name  = var.name
  tags  = local.tags
  zones = 3
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

  worker_count          = 10
  on_demand_workers     = 1
  worker_instance_types = ["m7i.xlarge", "m7a.xlarge", "m6i.xlarge", "m6a.xlarge", "m5.xlarge"]
  worker_hours          = { start = "45 1 * * *", stop = "0 4 * * *" }
  run_schedule          = "*-*-* 02:00:00"
}
