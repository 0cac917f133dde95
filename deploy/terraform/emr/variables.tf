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
  description = "ID of the cluster's network."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "A network is named by its id, vpc-…"
  }
}

variable "subnet_ids" {
  description = "Private subnets with the tag for-use-with-amazon-emr-managed-policies = true. EMR chooses the one with the most capacity."
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

# --- cluster ---

variable "release_label" {
  description = "EMR release, 7 or later (Amazon Linux 2023)."
  type        = string
  default     = "emr-7.14.0"

  validation {
    condition     = can(regex("^emr-([7-9]|[1-9][0-9])\\.[0-9]+\\.[0-9]+$", var.release_label))
    error_message = "The release is written as emr-7.14.0, and is 7 or later: the binaries need Amazon Linux 2023."
  }
}

variable "keep_alive" {
  description = "Whether the cluster waits for further steps, until it is idle for `idle_seconds`. With false it ends after its run."
  type        = bool
  default     = false
}

variable "idle_seconds" {
  description = "Seconds without a step after which a cluster with `keep_alive` ends."
  type        = number
  default     = 900

  validation {
    condition     = var.idle_seconds >= 60 && var.idle_seconds <= 604800 && floor(var.idle_seconds) == var.idle_seconds
    error_message = "EMR takes 60 to 604800 seconds (a week)."
  }
}

variable "primary_instance_type" {
  description = "Instance type of the primary, which runs the coordinator beside EMR's own daemons."
  type        = string
  default     = "m7i.xlarge"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", var.primary_instance_type)) && can(regex("^[a-z]+[0-9]+g", var.primary_instance_type)) == (var.lake.architecture == "arm64")
    error_message = "A type is written as m7i.xlarge, and is of the lake's architecture (m7g.xlarge for arm64)."
  }
}

variable "worker_instance_types" {
  description = "Instance types of the workers, at most five and of similar size. Several types find spot capacity more often."
  type        = list(string)
  default     = ["m7i.xlarge"]

  validation {
    condition = length(var.worker_instance_types) > 0 && length(var.worker_instance_types) <= 5 && alltrue([for type in var.worker_instance_types :
      can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", type)) && can(regex("^[a-z]+[0-9]+g", type)) == (var.lake.architecture == "arm64")
    ])
    error_message = "There are 1 to 5 types, each written as m7i.xlarge and of the lake's architecture (m7g.xlarge for arm64)."
  }
}

variable "core" {
  description = "Workers on core nodes, present from the start: numbers of on-demand and spot instances."
  type        = object({ on_demand = number, spot = number })
  default     = { on_demand = 2, spot = 0 }

  validation {
    condition     = alltrue([for count in [var.core.on_demand, var.core.spot] : count >= 0 && count <= 500 && floor(count) == count]) && var.core.on_demand + var.core.spot >= 1
    error_message = "There is at least one core node, and each count is 0 to 500."
  }
}

variable "task" {
  description = "Workers on task nodes, which join during the run: numbers of on-demand and spot instances."
  type        = object({ on_demand = number, spot = number })
  default     = { on_demand = 0, spot = 0 }

  validation {
    condition     = alltrue([for count in [var.task.on_demand, var.task.spot] : count >= 0 && count <= 500 && floor(count) == count])
    error_message = "Each count is 0 to 500."
  }
}

variable "spot_timeout_minutes" {
  description = "Minutes after which a cluster that finds no spot capacity uses on-demand instances instead."
  type        = number
  default     = 10

  validation {
    condition     = var.spot_timeout_minutes >= 5 && var.spot_timeout_minutes <= 1440 && floor(var.spot_timeout_minutes) == var.spot_timeout_minutes
    error_message = "EMR takes 5 to 1440 minutes."
  }
}

variable "root_volume_gib" {
  description = "Size of each node's root volume."
  type        = number
  default     = 20

  validation {
    condition     = var.root_volume_gib >= 15 && var.root_volume_gib <= 100 && floor(var.root_volume_gib) == var.root_volume_gib
    error_message = "EMR takes 15 to 100 GiB."
  }
}

variable "data_volume_gib" {
  description = "Size of each node's data volume, which queries spill to."
  type        = number
  default     = 64

  validation {
    condition     = var.data_volume_gib >= 32 && var.data_volume_gib <= 16384 && floor(var.data_volume_gib) == var.data_volume_gib
    error_message = "A volume has 32 to 16384 GiB."
  }
}

variable "memory" {
  description = "Memory that workers and coordinator aim to stay under, such as 12GB. Null means half of the machine's."
  type        = string
  default     = null

  validation {
    condition     = var.memory == null || can(regex("^[0-9]+(\\.[0-9]+)?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$", var.memory))
    error_message = "A size is written as 12GB or 12GiB."
  }
}

variable "session_manager" {
  description = "Whether users with the permission can open a shell by Session Manager. SSH is not available."
  type        = bool
  default     = true
}
