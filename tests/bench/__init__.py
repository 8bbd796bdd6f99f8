"""The bench's arithmetic and pictures; the measurements themselves are the bench's own business."""
