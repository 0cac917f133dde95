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
  default     = "lakewright-private"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 25 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "bucket" {
  description = "Name of the existing bucket for the lake."
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

variable "source_bucket" {
  description = "Bucket with the JSON."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.source_bucket))
    error_message = "A bucket's name has 3 to 63 lower-case letters, digits and hyphens; a dot would break TLS."
  }
}

variable "kms_key_arn" {
  description = "ARN of the key of the lake's bucket, the source's bucket and the certificates' parameters."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "A key is named by its ARN, arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}

variable "certificates_ssm_prefix" {
  description = "Prefix of the parameters that contain the certificates."
  type        = string

  validation {
    condition     = can(regex("^(/[A-Za-z0-9_.-]+)+$", var.certificates_ssm_prefix))
    error_message = "A prefix of parameters begins with a slash and does not end with one."
  }
}

variable "vpc_id" {
  description = "ID of the network."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "A network is named by its id, vpc-…"
  }
}

variable "subnet_ids" {
  description = "Private subnets, with the tag for-use-with-amazon-emr-managed-policies = true."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "There is at least one subnet, each named by its id, subnet-…"
  }
}

variable "https_egress_cidrs" {
  description = "Addresses of AWS's services as the network reaches them."
  type        = list(string)

  validation {
    condition     = alltrue([for cidr in var.https_egress_cidrs : can(cidrhost(cidr, 0))])
    error_message = "Addresses are written as 10.0.0.0/16."
  }
}

variable "cost_centre" {
  description = "Value of the cost allocation tag."
  type        = string

  validation {
    condition     = length(var.cost_centre) >= 1 && length(var.cost_centre) <= 256
    error_message = "A tag has 1 to 256 characters."
  }
}
