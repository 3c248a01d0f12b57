"""Training together with other nodes."""

from typing import Annotated, Any, Literal

from pydantic import Field

from redqueen.config.component import Of
from redqueen.config.section import Section

PublicKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class IslandsConfig(Section):
    """Nodes of the same base exchange students too. Evolution needs the fitness `probe` for it: who
    comes is measured on the probe's tasks before it may take anybody's place."""

    enabled: bool = False
    """Send the fittest student after each generation, and measure those of others."""
    candidates: int = Field(2, ge=1)
    """Adapters of other nodes that a generation measures, at most."""


class SwarmConfig(Section):
    """Other nodes' rollouts beside one's own (SAPO, arXiv 2509.08721). A group is all attempts of
    one student at one task."""

    enabled: bool = False
    """Exchange rollouts with other nodes; see docs/swarm.md."""
    identity: str = "swarm.key"
    """The node's private key, a file that `redqueen swarm keygen` makes."""
    transport: Annotated[Any, Of("transport", "directory")] = Field("directory")
    """How messages travel: `directory` (a shared folder) or `zenoh` (a network, extra `swarm`)."""
    own: Annotated[int, Field(ge=1)] | Literal["all"] = "all"
    """I: groups of a step's own rollouts that are learnt from; `all` of them."""
    foreign: int = Field(4, ge=0)
    """J: groups of other nodes that a step takes at most; it never waits for them."""
    need_right: bool = True
    """Take a group only if one of its answers earns more than a wrong one. In the others answers
    differ by their form alone, and peers could send nothing but wrong answers of good form. SAPO
    takes them too (`false`)."""
    peers: tuple[PublicKey, ...] = ()
    """Public keys of the nodes that are listened to; empty: everybody, within the quotas."""
    max_peers: int = Field(64, ge=1)
    """Most authors that are listened to in a run."""
    quota: int = Field(32, ge=1)
    """Messages that a peer may bring between two steps, and have waiting; less the lower its
    share."""
    max_bytes: int = Field(65_536, ge=1024)
    """Longest message."""
    max_answers: int = Field(32, ge=2)
    """Most answers of a group that is taken. Each costs a check in the sandbox, at worst all of its
    time, and is learnt from with a prompt of its own."""
    max_seconds: float = Field(30.0, gt=0)
    """Seconds of a step after which no further groups are judged: answers may be endless loops."""
    max_age: int = Field(16, ge=1)
    """Steps of this node after which a group that waits is dropped."""
    max_hours: float = Field(24.0, gt=0)
    """A message whose time is further than this from the clock here is refused."""
    repeats: int = Field(1, ge=1)
    """How often a group may be learnt from."""
    islands: IslandsConfig = Field(default_factory=IslandsConfig)
