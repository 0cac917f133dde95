variable "name" {
  description = "Name of the deployment, used in the names of all created resources."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 25 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "tags" {
  description = "Tags of all created resources, in addition to Name and Project."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key, value in var.tags : length(key) <= 128 && length(value) <= 256 && !startswith(lower(key), "aws:")])
    error_message = "A tag's key has up to 128 characters and does not begin with `aws:`, its value up to 256."
  }
}

# --- the lake and its sources ---

variable "lake_bucket" {
  description = "Name of the lake's bucket."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.lake_bucket))
    error_message = "A bucket's name has 3 to 63 lower-case letters, digits and hyphens; a dot would break TLS."
  }
}

variable "create_lake_bucket" {
  description = "Whether to create the lake's bucket. With false it must exist, and its owner sets encryption, policy and lifecycle rules."
  type        = bool
  default     = true
}

variable "lake_prefix" {
  description = "Folder of the lake in its bucket, without leading and trailing slashes."
  type        = string
  default     = "lake"

  validation {
    condition     = can(regex("^[A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*$", var.lake_prefix))
    error_message = "A prefix is one or several names with slashes between them."
  }
}

variable "sources" {
  description = "Locations of the JSON: a bucket, and a prefix in it without leading and trailing slashes."
  type        = list(object({ bucket = string, prefix = string }))

  validation {
    condition = length(var.sources) > 0 && alltrue([for source in var.sources :
      can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", source.bucket)) && can(regex("^[A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*$", source.prefix))
    ])
    error_message = "There is at least one source; each has the name of a bucket and a prefix without slashes at its ends."
  }
}

variable "source_kms_key_arns" {
  description = "ARNs of keys that encrypt the sources, if different from `kms_key_arn`."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.source_kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "A key is named by its ARN, arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}

variable "spool_expiration_days" {
  description = "Days after which the spool of a killed run is deleted. Must be longer than the longest run."
  type        = number
  default     = 2

  validation {
    condition     = var.spool_expiration_days >= 1 && var.spool_expiration_days <= 30 && floor(var.spool_expiration_days) == var.spool_expiration_days
    error_message = "The spool is kept for 1 to 30 whole days."
  }
}

variable "abort_uploads_days" {
  description = "Days after which an unfinished upload is aborted."
  type        = number
  default     = 1

  validation {
    condition     = var.abort_uploads_days >= 1 && var.abort_uploads_days <= 7 && floor(var.abort_uploads_days) == var.abort_uploads_days
    error_message = "Unfinished uploads are kept for 1 to 7 whole days."
  }
}

variable "log_expiration_days" {
  description = "Days to keep logs of clusters in the artifacts' bucket."
  type        = number
  default     = 30

  validation {
    condition     = var.log_expiration_days >= 1 && var.log_expiration_days <= 3650 && floor(var.log_expiration_days) == var.log_expiration_days
    error_message = "Logs are kept for 1 to 3650 whole days."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes buckets that are not empty, with the lake in them."
  type        = bool
  default     = false
}

# --- encryption ---

variable "kms_key_arn" {
  description = "ARN of a key for buckets and parameters. Null creates one, for about a dollar per month."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "A key is named by its ARN, arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}

variable "certificates_ssm_prefix" {
  description = "Prefix of parameters with your own certificates: `/PREFIX` for `/PREFIX/ca`, `/PREFIX/coordinator.cert`, `.key`, `/PREFIX/worker.cert`, `.key`. Null creates certificates."
  type        = string
  default     = null

  validation {
    condition     = var.certificates_ssm_prefix == null || can(regex("^(/[A-Za-z0-9_.-]+)+$", var.certificates_ssm_prefix))
    error_message = "A prefix of parameters begins with a slash and does not end with one."
  }
}

variable "certificates_validity_days" {
  description = "Validity of the certificates created here, in days. An apply in the last 30 of them creates new ones."
  type        = number
  default     = 365

  validation {
    condition     = var.certificates_validity_days >= 60 && var.certificates_validity_days <= 3650 && floor(var.certificates_validity_days) == var.certificates_validity_days
    error_message = "Certificates are valid for 60 to 3650 whole days."
  }
}

variable "tls_name" {
  description = "Name in the coordinator's certificate, which workers use to connect."
  type        = string
  default     = "coordinator.lakewright.internal"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$", var.tls_name))
    error_message = "The name is one of DNS, in lower case."
  }
}

# --- what machines install ---

variable "architecture" {
  description = "Processor architecture of the machines: x86_64 or arm64."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The architecture is x86_64 or arm64."
  }
}

variable "release_file" {
  description = "Path of the release tarball on this machine, named lakewright-VERSION-x86_64-linux.tar.gz or lakewright-VERSION-aarch64-linux.tar.gz."
  type        = string

  validation {
    condition     = can(regex("^lakewright-[0-9][0-9A-Za-z.+-]*-${var.architecture == "arm64" ? "aarch64" : "x86_64"}-linux\\.tar\\.gz$", basename(var.release_file)))
    error_message = "The release is named lakewright-VERSION-ARCHITECTURE-linux.tar.gz and is for `architecture` (arm64 is aarch64 there)."
  }
}

variable "release_sha256" {
  description = "SHA-256 of the release, as published. Every machine compares its download with it."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.release_sha256)) && try(filesha256(var.release_file), "") == var.release_sha256
    error_message = "The checksum is 64 hexadecimal digits, and that of `release_file`."
  }
}

variable "bootstrap_file" {
  description = "Script that sets up machines. Null means this repository's deploy/emr/bootstrap.sh."
  type        = string
  default     = null

  validation {
    condition     = var.bootstrap_file == null || can(filesha256(var.bootstrap_file))
    error_message = "There is no such file."
  }
}

variable "lake_toml" {
  description = "Content of lake.toml: the lake and the sources on S3, and `[cluster]` with a `listen` address that other machines can reach."
  type        = string

  validation {
    condition     = can(regex("(?m)^\\[cluster\\]", var.lake_toml)) && can(regex("(?m)^listen *= *\"0\\.0\\.0\\.0:50051\"", var.lake_toml))
    error_message = "lake.toml has a section `[cluster]` with `listen = \"0.0.0.0:50051\"`, or no worker can connect."
  }

  validation {
    condition     = can(regex("(?m)^url *= *\"s3://${var.lake_bucket}/${var.lake_prefix}/?\"", var.lake_toml))
    error_message = "The `url` of `[lake]` is s3://LAKE_BUCKET/LAKE_PREFIX."
  }
}

variable "project_directory" {
  description = "Folder with the models/ and checks/ that lake.toml refers to."
  type        = string

  validation {
    condition     = length(fileset(var.project_directory, "models/**")) > 0
    error_message = "The folder has no models/."
  }
}

# --- who else may do what ---

variable "glue_database" {
  description = "Database of the Glue catalog that `coordinator catalog` may write, and `<name>_symlinks` with `--symlinks`. Null gives no permission."
  type        = string
  default     = null

  validation {
    condition     = var.glue_database == null || can(regex("^[a-z0-9_]{1,255}$", var.glue_database))
    error_message = "A database has up to 255 lower-case letters, digits and underscores."
  }
}

variable "vacuum_principal_arns" {
  description = "ARNs of principals that may assume the vacuum role. Null means every principal of the account with a policy that allows it."
  type        = list(string)
  default     = null

  validation {
    condition     = var.vacuum_principal_arns == null || can(length(var.vacuum_principal_arns) > 0 && alltrue([for arn in var.vacuum_principal_arns : regex("^arn:[a-z-]+:iam::[0-9]{12}:(root|role/.+|user/.+)$", arn) != ""]))
    error_message = "A principal is the ARN of a role, a user or an account's root."
  }
}
