"""Other people's layouts -> COCO's: Flickr8k, and a folder of your own pictures."""


def flickr8k(root, captions, pictures, lists=None, val=0.1, test=0.1, seed=0):
    """Make `root` from Flickr8k and return its path; done at once if root already holds it.

    captions: `captions.txt` (image,caption) or `Flickr8k.token.txt` (image.jpg#0<TAB>caption).
    pictures: the folder of photographs.  lists: the folder of `Flickr_8k.trainImages.txt`,
    `devImages` and `testImages`; None divides by `seed` into shares of pictures, val and test.
    Raises `BadInput` for what cannot be read and for a root that holds something else.
    """
    raise NotImplementedError


def folder(root, pictures, captions, val=0.1, test=0.1, seed=0):
    """Make `root` from a folder of pictures and a file that names and describes them.

    captions: CSV with a column `file` and a column `caption`, a row per sentence, or JSONL with
    such keys.  val and test: shares of the pictures, drawn by `seed`.  Returns root's path.
    Raises `BadInput` for what cannot be read and for a root that holds something else.
    """
    raise NotImplementedError
