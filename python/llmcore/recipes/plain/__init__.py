"""Each stage once more as one loop on one page; tests hold it equal to the real stage."""
