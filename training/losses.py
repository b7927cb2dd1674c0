"""What training minimises."""

from __future__ import annotations

import torch

__all__ = ["contrastive_loss", "retrieval_accuracy"]


def contrastive_loss(
    embeddings: torch.Tensor, classes: torch.Tensor, instances: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, the form with the sum outside the logarithm).

    Views of one instance are no pair: what they share, the picture around the defect, is not what makes the class.

    Args:
        embeddings: float32 `[B, C]`, of any length.
        classes: int64 `[B]`.
        instances: int64 `[B]`.
        temperature: Divides the cosines.

    Returns:
        The mean over all views, a scalar.
    """
    directions = torch.nn.functional.normalize(embeddings, dim=1)
    logits = directions @ directions.T / temperature
    same_instance = instances[:, None] == instances[None]
    logits = logits.masked_fill(same_instance, float("-inf"))
    log_shares = logits - torch.logsumexp(logits, dim=1, keepdim=True)
    positive = (classes[:, None] == classes[None]) & ~same_instance
    total = torch.where(positive, log_shares, torch.zeros_like(log_shares)).sum(dim=1)
    return -(total / positive.sum(dim=1).clamp(min=1)).mean()


@torch.no_grad()
def retrieval_accuracy(
    embeddings: torch.Tensor, classes: torch.Tensor, instances: torch.Tensor, per_group: int
) -> tuple[float, float]:
    """How often the nearest view of another instance is of the same class: in the batch, and in the view's own group.

    Args:
        embeddings: float32 `[B, C]`.
        classes: int64 `[B]`.
        instances: int64 `[B]`.
        per_group: Views of a group; groups follow one another.

    Returns:
        Two shares, 0 to 1.
    """
    directions = torch.nn.functional.normalize(embeddings, dim=1)
    cosines = (directions @ directions.T).masked_fill(instances[:, None] == instances[None], -2)
    groups = torch.arange(len(classes)) // per_group
    near = cosines.masked_fill(groups[:, None] != groups[None], -2)
    return tuple(float((classes[each.argmax(dim=1)] == classes).float().mean()) for each in (cosines, near))  # type: ignore[return-value]
