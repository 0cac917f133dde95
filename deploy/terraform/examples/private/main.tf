# Into what a company has: its network, its key, its certificates, its bucket for the lake, a source in another bucket, and
# a NAT or proxy for AWS's services. The cluster stays for further steps until it was idle for half an hour.

locals {
  tags = { Environment = "production", CostCentre = var.cost_centre }
}

module "lake" {
  source = "../../lake"

  name                    = var.name
  tags                    = local.tags
  lake_bucket             = var.bucket
  create_lake_bucket      = false
  sources                 = [{ bucket = var.source_bucket, prefix = "exports/json" }]
  source_kms_key_arns     = [var.kms_key_arn]
  kms_key_arn             = var.kms_key_arn
  certificates_ssm_prefix = var.certificates_ssm_prefix
  architecture            = "arm64"
  lake_toml               = local.lake_toml
  project_directory       = local.repository
  release_file            = var.release_file
  release_sha256          = var.release_sha256
  glue_database           = "lakewright"
}

module "cluster" {
  source = "../../emr"

  lake               = module.lake.machines
  vpc_id             = var.vpc_id
  subnet_ids         = var.subnet_ids
  https_egress_cidrs = var.https_egress_cidrs

  primary_instance_type = "m7g.xlarge"
  worker_instance_types = ["m7g.2xlarge", "m6g.2xlarge"]
  core                  = { on_demand = 2, spot = 0 }
  task                  = { on_demand = 0, spot = 2 }
  keep_alive            = true
  idle_seconds          = 1800
  session_manager       = false
}
