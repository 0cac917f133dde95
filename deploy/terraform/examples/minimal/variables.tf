variable "region" {
  description = "AWS region."
  type        = string
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region is written as us-east-1."
  }
}

variable "name" {
  description = "Name of the deployment."
  type        = string
  default     = "lakewright"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 25 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "bucket" {
  description = "Name of the bucket for the JSON and the lake. It is created here and must be globally unique."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "A bucket's name has 3 to 63 lower-case letters, digits and hyphens; a dot would break TLS."
  }
}

variable "release_file" {
  description = "Path of the release tarball on this machine."
  type        = string

  validation {
    condition     = can(filesha256(var.release_file))
    error_message = "There is no such file."
  }
}

variable "release_sha256" {
  description = "SHA-256 of the release, as published."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.release_sha256))
    error_message = "A checksum has 64 hexadecimal digits."
  }
}

variable "glue_database" {
  description = "Database of the Glue catalog that `catalog` on the coordinator's machine may write. Null adds no permission and no endpoint."
  type        = string
  default     = null

  validation {
    condition     = var.glue_database == null || can(regex("^[a-z0-9_]{1,255}$", var.glue_database))
    error_message = "A database's name has lower-case letters, digits and underscores."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes the JSON and the lake as well."
  type        = bool
  default     = false
}
