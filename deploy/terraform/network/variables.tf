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

variable "cidr" {
  description = "Private address range of the network."
  type        = string
  default     = "10.60.0.0/20"

  validation {
    condition     = can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.)", var.cidr)) && can(cidrsubnet(var.cidr, 4, 15)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 24, false)
    error_message = "The network is a private one of /16 to /24, such as 10.60.0.0/20."
  }
}

variable "zones" {
  description = "Number of availability zones, with one subnet each. More zones offer more spot capacity, and each adds the cost of its interface endpoints."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, 2, 3, 4], var.zones)
    error_message = "There are 1 to 4 zones."
  }
}

variable "interface_endpoints" {
  description = "AWS services with an interface endpoint in the network (S3 is always reachable). Each costs about 7 dollars per month and zone."
  type        = set(string)
  default     = ["ssm", "ssmmessages"]

  validation {
    condition     = length(setsubtract(var.interface_endpoints, ["ssm", "ssmmessages", "sts", "kms", "glue", "logs", "elasticmapreduce"])) == 0
    error_message = "The endpoints are of ssm, ssmmessages, sts, kms, glue, logs and elasticmapreduce."
  }
}
