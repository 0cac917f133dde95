resource "aws_emr_security_configuration" "this" {
  # checkov:skip=CKV_AWS_351:it is about Hadoop's daemons, which carry no data here; coordinator and workers have their own mTLS
  name = local.name

  configuration = jsonencode({
    InstanceMetadataServiceConfiguration = {
      MinimumInstanceMetadataServiceVersion = 2
      HttpPutResponseHopLimit               = 1
    }
    EncryptionConfiguration = {
      EnableAtRestEncryption = true
      AtRestEncryptionConfiguration = {
        S3EncryptionConfiguration = {
          EncryptionMode = "SSE-KMS"
          AwsKmsKey      = var.lake.kms_key_arn
        }
        LocalDiskEncryptionConfiguration = {
          EncryptionKeyProviderType = "AwsKms"
          AwsKmsKey                 = var.lake.kms_key_arn
          EnableEbsEncryption       = true
        }
      }
      EnableInTransitEncryption = false
    }
  })
}
