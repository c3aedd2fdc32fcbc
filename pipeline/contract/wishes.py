"""Which annotations and environment variables of a pod say how its logs are wished.

The collectors keep these of a pod and nothing else of its environment: what a program is told
there may be a secret. Sources: fluent-bit docs, Kubernetes filter; AliyunContainerService/log-pilot
README; Alibaba Cloud SLS, "collect container logs through environment variables".
"""

OWN = "kubeledger.io/"
FLUENT_BIT = "fluentbit.io/"
LOG_PILOT = "aliyun.logs."
ALIYUN_ENVIRONMENT = "aliyun_logs_"

_ANNOTATIONS = (OWN, FLUENT_BIT, LOG_PILOT)

# Custom resources that say it, by the names under which they are watched.
LOG_CONFIGS = "logconfigs"
CLUSTER_LOG_CONFIGS = "clusterlogconfigs"
ALIYUN_LOG_CONFIGS = "aliyunlogconfigs"
ALIYUN_PIPELINE_CONFIGS = "clusteraliyunpipelineconfigs"
CONFIG_RESOURCES = (
    LOG_CONFIGS,
    CLUSTER_LOG_CONFIGS,
    ALIYUN_LOG_CONFIGS,
    ALIYUN_PIPELINE_CONFIGS,
)


def is_wish(annotation: str) -> bool:
    """Does an annotation of this name speak of logs?"""
    return annotation.startswith(_ANNOTATIONS)


def is_wish_variable(name: str) -> bool:
    return name.startswith(ALIYUN_ENVIRONMENT)
