"""What the published SEEM names in a picture: the 133 panoptic classes of COCO, and the sentences it learned them in.

Sources: the categories are those of `panoptic_coco_categories.json` (cocodataset/panopticapi), in the order of
detectron2's `COCO_CATEGORIES`, without the endings -merged, -other and -stuff, as SEEM reads them; the sentences are
those of `get_prompt_templates` in X-Decoder and SEEM: CLIP's eighty for ImageNet, and the bare name. Data only.
"""

THINGS = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
STUFF = (
    "banner", "blanket", "bridge", "cardboard", "counter", "curtain", "door", "floor-wood", "flower", "fruit",
    "gravel", "house", "light", "mirror", "net", "pillow", "platform", "playingfield", "railroad", "river", "road",
    "roof", "sand", "sea", "shelf", "snow", "stairs", "tent", "towel", "wall-brick", "wall-stone", "wall-tile",
    "wall-wood", "water", "window-blind", "window", "tree", "fence", "ceiling", "sky", "cabinet", "table", "floor",
    "pavement", "mountain", "grass", "dirt", "paper", "food", "building", "rock", "wall", "rug",
)  # fmt: skip
CLASSES = (*THINGS, *STUFF, "background")
"""In the order of the class embeddings; the last is void."""

_OF = (
    "a photo", "a bad photo", "a low resolution photo", "a cropped photo", "a bright photo", "a dark photo",
    "a close-up photo", "a black and white photo", "a pixelated photo", "a jpeg corrupted photo", "a blurry photo",
    "a good photo", "a rendering", "a rendition", "a tattoo", "a drawing", "a painting", "a sculpture", "a doodle",
    "a sketch", "graffiti", "art", "itap",
)  # fmt: skip
_SEEN_AS = ("hard to see", "clean", "dirty", "cool", "large", "nice", "weird", "small")
_MADE_AS = ("embroidered", "plastic", "origami", "toy", "cartoon", "plushie")
TEMPLATES = (
    "{}.",
    *(f"{what} of {article} {{}}." for what in _OF for article in ("a", "the")),
    *(f"a photo of {article} {kind} {{}}." for kind in _SEEN_AS for article in ("a", "the")),
    *(f"{article} {kind} {{}}." for kind in _MADE_AS for article in ("a", "the")),
    *(f"{article} {{}} in a video game." for article in ("a", "the")),
    *(f"a photo of {number} {{}}." for number in ("many", "one", "my")),
    "itap of my {}.",
)
"""A class is the mean of its embeddings in all of them; their order does not matter."""
