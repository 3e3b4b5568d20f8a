"""StableVideo's aggregation network: makes of the mean of keyframes' atlases one that looks like each keyframe again.

x + ConvT(ReLU(Conv(x))) of StableVideo (Chai et al. 2023, `AGGNet`), fitted anew for every edit by the L1 distance of
the keyframes from what the atlas shows of them. As released it cannot learn, its method runs under `torch.no_grad`;
here it does, from the identity on. Off unless asked for, as there: on textured clips it brings 0.1 to 0.3 dB where the
keyframes agree; where each has another shade it follows one of them and loses 2 to 3 dB. Knows tensors only.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vitron_agent.specialists.base import Progress, ignore_progress
from vitron_agent.specialists.stable_video.layers import Layer


class AggregationNet(nn.Module):
    """Two convolutions beside an identity."""

    def __init__(self, hidden: int = 64) -> None:
        """Start as the identity: the last convolution's weights are zero.

        Args:
            hidden: Channels between the convolutions, as in StableVideo.
        """
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(3, hidden, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.ConvTranspose2d(hidden, 3, 3, padding=1, bias=False),
        )
        nn.init.zeros_(self.inner.get_parameter("2.weight"))

    def forward(self, texture: Tensor) -> Tensor:
        """Return the aggregated texture (3, h, w) of a texture (3, h, w) in about [0, 1]."""
        changed: Tensor = texture + self.inner(texture[None])[0]
        return changed


def aggregated(
    layer: Layer,
    texture: Tensor,
    keyframes: Mapping[int, Tensor],
    share: Tensor,
    steps: int,
    progress: Progress = ignore_progress,
) -> Tensor:
    """Fit the network to the keyframes and return the texture that it makes.

    Args:
        layer: The layer that was edited; its maps say where a frame's pixels lie.
        texture: (3, h, w) float, the mean of the keyframes' atlases.
        keyframes: Frame number -> the edited frame, (3, H, W) float in [0, 1].
        share: (T, H, W) float in [0, 1], how much of a pixel is this layer's.
        steps: Of Adam, 120 are enough (StableVideo takes 500 of SGD); 0 returns the mean.
        progress: Called after each step; may raise `Cancelled`.

    Returns:
        (3, h, w) float; of all steps the one that was nearest to the keyframes.
    """
    frames = sorted(keyframes)
    places = layer.places(*share.shape[1:])[frames]
    wanted, weight = torch.stack([keyframes[frame] for frame in frames]), share[frames][:, None]
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        given, places, wanted, weight = (tensor.clone() for tensor in (texture, places, wanted, weight))
        net = AggregationNet()
        adam = torch.optim.Adam(net.parameters(), 2e-3)
        best, nearest = given, float("inf")
        for step in range(steps):
            made = net(given)
            shown = layer.with_texture(made).seen_at(places)
            loss = ((shown - wanted).abs() * weight).sum() / weight.sum().clamp_min(1e-6) / 3
            distance = float(loss.detach())
            if distance < nearest:
                best, nearest = made.detach(), distance
            adam.zero_grad(set_to_none=True)
            loss.backward()
            adam.step()
            progress(step + 1, steps)
    return best
