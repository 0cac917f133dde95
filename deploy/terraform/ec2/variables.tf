variable "lake" {
  description = "The output `machines` of the module `lake`."
  type = object({
    name              = string
    tags              = map(string)
    architecture      = string
    kms_key_arn       = string
    artifacts_bucket  = string
    project_prefix    = string
    certificates_hash = string
    glue_database     = string
    bootstrap         = object({ url = string, sha256 = string })
    arguments         = object({ worker = list(string), coordinator = list(string) })
    policies          = object({ worker = string, coordinator = string, install_worker = string, install_coordinator = string })
  })
}

# --- network ---

variable "vpc_id" {
  description = "ID of the machines' network."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "A network is named by its id, vpc-…"
  }
}

variable "subnet_ids" {
  description = "Private subnets of the workers, ideally one per zone. The coordinator is in the first."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "There is at least one subnet, each named by its id, subnet-…"
  }
}

variable "endpoint_security_group_ids" {
  description = "Security groups of the network's interface endpoints. A rule that admits the machines is added to them."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.endpoint_security_group_ids : can(regex("^sg-[0-9a-f]+$", id))])
    error_message = "A security group is named by its id, sg-…"
  }
}

variable "https_egress_cidrs" {
  description = "Addresses that the machines may call by HTTPS in addition to S3, for networks with a NAT instead of endpoints."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.https_egress_cidrs : can(cidrhost(cidr, 0))])
    error_message = "Addresses are written as 10.0.0.0/16."
  }
}

# --- machines ---

variable "ami_id" {
  description = "Image of the machines: Amazon Linux 2023 or a similar one with the AWS CLI. Null means Amazon's newest."
  type        = string
  default     = null

  validation {
    condition     = var.ami_id == null || can(regex("^ami-[0-9a-f]+$", var.ami_id))
    error_message = "An image is named by its id, ami-…"
  }
}

variable "coordinator_instance_type" {
  description = "Instance type of the coordinator, which plans and commits: two processors and 8 GiB are enough for millions of objects."
  type        = string
  default     = "m7i.large"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", var.coordinator_instance_type)) && can(regex("^[a-z]+[0-9]+g", var.coordinator_instance_type)) == (var.lake.architecture == "arm64")
    error_message = "A type is written as m7i.large, and is of the lake's architecture (m7g.large for arm64)."
  }
}

variable "worker_instance_types" {
  description = "Instance types of the workers in order of preference, of similar size. Several types find spot capacity more often."
  type        = list(string)
  default     = ["m7i.xlarge"]

  validation {
    condition = length(var.worker_instance_types) > 0 && alltrue([for type in var.worker_instance_types :
      can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", type)) && can(regex("^[a-z]+[0-9]+g", type)) == (var.lake.architecture == "arm64")
    ])
    error_message = "There is at least one type, each written as m7i.xlarge and of the lake's architecture (m7g.xlarge for arm64)."
  }
}

variable "worker_count" {
  description = "Number of workers, during `worker_hours` or always."
  type        = number
  default     = 2

  validation {
    condition     = var.worker_count >= 1 && var.worker_count <= 500 && floor(var.worker_count) == var.worker_count
    error_message = "There are 1 to 500 workers."
  }
}

variable "on_demand_workers" {
  description = "Number of on-demand workers; the others are spot instances. Null means all."
  type        = number
  default     = null

  validation {
    condition     = var.on_demand_workers == null || try(var.on_demand_workers >= 0 && var.on_demand_workers <= var.worker_count && floor(var.on_demand_workers) == var.on_demand_workers, false)
    error_message = "On-demand are between none and all of the workers."
  }
}

variable "worker_hours" {
  description = "Start and stop of the workers, as cron expressions in UTC, such as { start = \"45 1 * * *\", stop = \"0 4 * * *\" }. Null means always on."
  type        = object({ start = string, stop = string })
  default     = null

  validation {
    condition     = var.worker_hours == null || can([for time in [var.worker_hours.start, var.worker_hours.stop] : regex("^[0-9*,/-]+ [0-9*,/-]+ [0-9*,/-]+ [0-9*,/-]+ [0-9*,/-]+$", time)])
    error_message = "A time has five fields of numbers, as cron writes them."
  }
}

variable "run_schedule" {
  description = "Schedule of runs, as a systemd calendar expression such as `hourly` or `*-*-* 02:00:00`."
  type        = string
  default     = "hourly"

  validation {
    condition     = can(regex("^[A-Za-z0-9*:/., ~-]{1,100}$", var.run_schedule)) && trimspace(var.run_schedule) == var.run_schedule
    error_message = "A schedule is a calendar of systemd; `systemd-analyze calendar` checks one."
  }
}

variable "root_volume_gib" {
  description = "Size of each machine's volume, which queries spill to."
  type        = number
  default     = 40

  validation {
    condition     = var.root_volume_gib >= 8 && var.root_volume_gib <= 16384 && floor(var.root_volume_gib) == var.root_volume_gib
    error_message = "A volume has 8 to 16384 GiB."
  }
}

variable "worker_memory" {
  description = "Memory that a worker aims to stay under, such as 12GB. Null means half of the machine's."
  type        = string
  default     = null

  validation {
    condition     = var.worker_memory == null || can(regex("^[0-9]+(\\.[0-9]+)?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$", var.worker_memory))
    error_message = "A size is written as 12GB or 12GiB."
  }
}

variable "coordinator_memory" {
  description = "Memory that the coordinator aims to stay under, such as 6GB. Null means the setting in lake.toml."
  type        = string
  default     = null

  validation {
    condition     = var.coordinator_memory == null || can(regex("^[0-9]+(\\.[0-9]+)?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$", var.coordinator_memory))
    error_message = "A size is written as 6GB or 6GiB."
  }
}

variable "session_manager" {
  description = "Whether users with the permission can open a shell by Session Manager. SSH is not available."
  type        = bool
  default     = true
}
