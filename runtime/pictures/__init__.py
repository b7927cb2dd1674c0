"""Pictures of images with their regions: overlays, and what a report and a support cache show of a region."""
