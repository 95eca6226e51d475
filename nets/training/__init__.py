"""Training: recipes, batches, the learner and its teachers, and what is fitted when training is over."""
