"""Questions about pictures: their files, their scores, and models that answer them."""
