"""Frozen groups of settings, by concern: unit, default and reason under every field.

The one table from which flags, environment names and help derive (`cli/flags.py`): a field called
`worker_threads` is the flag `--worker-threads` and the variable `SNAPSHOTD_WORKER_THREADS`. Names
and defaults are the reference's where it has the setting.
"""

import dataclasses
from typing import Any, NewType

Seconds = NewType("Seconds", float)


def setting(default: Any, reason: str, *, flag: str = "") -> Any:
    """Return a field with its default and the sentence that `--help` shows."""
    return dataclasses.field(default=default, metadata={"help": reason, "flag": flag})


@dataclasses.dataclass(frozen=True, slots=True)
class Api:
    """How the API server is reached."""

    kubeconfig: str = setting("", "kubeconfig file; without it $KUBECONFIG, else the pod's account")
    kube_api_qps: float = setting(
        0.0, "cap on API requests a second; 0 leaves it to the adaptive limit"
    )
    kube_api_burst: int = setting(10, "API requests at once above --kube-api-qps")
    retry_crd_interval_max: Seconds = setting(
        Seconds(30.0),
        "the longest wait before the server is asked again for a kind it does not serve; it is "
        "waited for as long as it takes, and /readyz says so",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Queues:
    """How keys are worked off."""

    worker_threads: int = setting(10, "workers of each queue: how many objects are in hand at once")
    retry_interval_start: Seconds = setting(
        Seconds(1.0), "wait after the first failure of an object; doubles with each"
    )
    retry_interval_max: Seconds = setting(Seconds(300.0), "the longest wait after a failure")
    resync_period: Seconds = setting(
        Seconds(900.0),
        "how long one slow pass over all objects takes, in case something was overlooked; nothing "
        "relies on it, and what it finds is counted; 0 turns it off",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Leadership:
    """Which of several replicas works."""

    leader_election: bool = setting(False, "work only while holding a Lease")
    leader_election_namespace: str = setting(
        "", "namespace of the Lease; without it $POD_NAMESPACE, else the pod's, else default"
    )
    leader_election_lease_duration: Seconds = setting(
        Seconds(15.0), "how long others wait after a leader's last renewal"
    )
    leader_election_renew_deadline: Seconds = setting(
        Seconds(10.0), "how long a leader tries to renew before it gives up"
    )
    leader_election_retry_period: Seconds = setting(
        Seconds(5.0), "how long to wait between two tries"
    )
    leader_election_labels: str = setting(
        "", "labels to put on the Lease: key:value, joined by commas"
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Observing:
    """What others see of the process."""

    http_endpoint: str = setting(
        "", "address such as :8080 for metrics and health; without it there is none"
    )
    metrics_path: str = setting("/metrics", "path of the metrics on --http-endpoint")
    logging_format: str = setting("text", "text, or json")
    verbosity: int = setting(0, "how much to log: 0 changes, 4 decisions, 6 libraries", flag="v")
    log_level: str = setting(
        "", "debug, info, warning, or error; wins over -v, and SIGHUP toggles debug at run time"
    )
    tracing: bool = setting(
        False,
        "send traces by OTLP over HTTP (extra `otel`); OTEL_EXPORTER_OTLP_ENDPOINT and the other "
        "variables of OpenTelemetry say where to, and switch it on, too",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """How the process runs."""

    event_loop: str = setting("auto", "auto, asyncio, or uvloop (auto takes uvloop if installed)")


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """How the controller decides."""

    prevent_volume_mode_conversion: bool = setting(
        True, "note the source volume's mode on the content, so that a restore cannot change it"
    )
    enable_distributed_snapshotting: bool = setting(
        False, "label contents of local volumes with the node whose sidecar is to handle them"
    )
    status_hold: Seconds = setting(
        Seconds(0.25),
        "how long a not-yet-ready status is held back after a content was created: a driver that "
        "answers within it costs one status write instead of two",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Csi:
    """How the driver is spoken to."""

    csi_address: str = setting("/run/csi/socket", "the driver's unix socket")
    timeout: Seconds = setting(Seconds(60.0), "deadline of each call to the driver")
    snapshot_name_prefix: str = setting("snapshot", "how names of snapshots at the driver begin")
    snapshot_name_uuid_length: int = setting(
        -1, "hex digits of the uid in those names, 0 to 32; -1 keeps it whole"
    )
    groupsnapshot_name_prefix: str = setting(
        "groupsnapshot", "how names of group snapshots at the driver begin"
    )
    groupsnapshot_name_uuid_length: int = setting(
        -1, "hex digits of the uid in those names, 0 to 32; -1 keeps it whole"
    )
    extra_create_metadata: bool = setting(
        False, "tell the driver the names of the snapshot and content"
    )
    node_deployment: bool = setting(
        False, "handle only contents labelled with $NODE_NAME (distributed snapshotting)"
    )
    ready_poll_interval: Seconds = setting(
        Seconds(2.0),
        "first wait before a driver is asked again whether a snapshot is ready; grows to 30s",
    )
    volume_concurrency: int = setting(
        2, "calls at once for snapshots of one volume, so that a busy one leaves workers to others"
    )
    exit_on_connection_loss: bool = setting(
        False, "end when the driver goes away, as the reference does, instead of waiting for it"
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Features:
    """What can be switched off as a whole."""

    feature_gates: str = setting(
        "",
        "name=true or name=false, joined by commas; CSIVolumeGroupSnapshot, on by default, serves "
        "group snapshots",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Controller:
    """All settings of `snapshotd controller`."""

    api: Api = Api()
    queues: Queues = Queues()
    leadership: Leadership = Leadership()
    observing: Observing = Observing()
    process: Process = Process()
    rules: Rules = Rules()
    features: Features = Features()


@dataclasses.dataclass(frozen=True, slots=True)
class Sidecar:
    """All settings of `snapshotd sidecar`."""

    api: Api = Api()
    queues: Queues = Queues()
    leadership: Leadership = Leadership()
    observing: Observing = Observing()
    process: Process = Process()
    csi: Csi = Csi()
    features: Features = Features()


@dataclasses.dataclass(frozen=True, slots=True)
class Local:
    """Where `snapshotd dev` keeps its state, and which of its parts run."""

    data_dir: str = setting("./snapshotd-data", "folder for the state: API objects and real files")
    port: int = setting(0, "port of the API server on loopback; 0 keeps the last one, or takes any")
    dev_kubeconfig: str = setting(
        "", "kubeconfig file to write; without it DATA-DIR/kubeconfig", flag="kubeconfig"
    )
    parts: str = setting(
        "apiserver,driver,provisioner,controller,sidecar",
        "which parts run here; without apiserver, --kubeconfig names the server to use",
    )
    demo: bool = setting(False, "play the whole story, check every step, and end")
    output: str = setting("text", "report of the demo: text, or json", flag="o")


@dataclasses.dataclass(frozen=True, slots=True)
class Dev:
    """All settings of `snapshotd dev`."""

    local: Local = Local()
    observing: Observing = Observing()
    process: Process = Process()


@dataclasses.dataclass(frozen=True, slots=True)
class Explaining:
    """What is explained, and how."""

    kubeconfig: str = setting("", "kubeconfig file; without it $KUBECONFIG, else the pod's account")
    namespace: str = setting(
        "", "namespace of the object; without it default, with --all every one"
    )
    all_: bool = setting(False, "explain everything that is not settled", flag="all")
    output: str = setting("text", "text, or json", flag="o")


@dataclasses.dataclass(frozen=True, slots=True)
class Explain:
    """All settings of `snapshotd explain`."""

    explaining: Explaining = Explaining()


@dataclasses.dataclass(frozen=True, slots=True)
class Converting:
    """How the API server reaches the webhook, and how much it may ask of it."""

    tls_cert_file: str = setting("", "the server's certificate chain, in PEM; required")
    tls_private_key_file: str = setting("", "the private key of that, in PEM; required")
    port: int = setting(443, "port to listen on")
    tls_reload_interval: Seconds = setting(
        Seconds(10.0), "how often to see whether those files changed; no restart is needed"
    )
    max_body_bytes: int = setting(
        32 * 1024 * 1024, "the largest request; a list of objects is one request"
    )
    max_header_bytes: int = setting(16 * 1024, "the longest header, and the longest request line")
    max_concurrent_requests: int = setting(16, "requests in hand at once; others wait their turn")
    request_timeout: Seconds = setting(
        Seconds(10.0), "the longest a request may take, with its body and its wait"
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Webhook:
    """All settings of `snapshotd webhook`."""

    converting: Converting = Converting()
    observing: Observing = Observing()
    process: Process = Process()


@dataclasses.dataclass(frozen=True, slots=True)
class Watching:
    """What is watched, and how it is shown."""

    kubeconfig: str = setting("", "kubeconfig file; without it $KUBECONFIG, else the pod's account")
    namespace: str = setting("", "namespace to look at; without it every one")
    once: bool = setting(False, "tell once and end; so it is in a pipe, and with -o json")
    output: str = setting("text", "text, or json", flag="o")
    interval: Seconds = setting(Seconds(2.0), "how often the live view is drawn anew")
    stuck_after: Seconds = setting(
        Seconds(300.0), "how long a snapshot may be on its way, or going, before it is stuck"
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """All settings of `snapshotd status`."""

    watching: Watching = Watching()


# Flags of the reference that are accepted so that its manifests start, and have no effect here.
ACCEPTED = {
    "vmodule": "verbosity is the process's",
    "log-flush-frequency": "every line is flushed in the turn it was written",
    "automaxprocs": "one process uses one core",
}
