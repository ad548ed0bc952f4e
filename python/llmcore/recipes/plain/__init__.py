"""Each stage once more as one loop on one page: for reading, and held equal to the real stage by tests."""
