"""Objects that a sentence names are found as a reader finds them; absent ones are counted by hand.
"""

import re
from dataclasses import replace

import pytest

from captioning.evaluation import objects_of, report_of, score, shown, table, tokens
from captioning.gallery import Gallery
from coco.dataset import Split, read_split
from evaluate import is_report
from scoring.chair import absent, chair
from scoring.objects import CATEGORIES, categories, known_by, mentions, objects_in
from scoring.scores import Unavailable
from system.files import BadInput, write_json

# sentences and the objects that they name, written down before the words were
READ = """
A man rides a horse along the beach. | person, horse
Two women are walking their dogs in the park. | person, dog
The children sit on benches. | person, bench
Three sheep and a lamb graze. | sheep
A black cat sleeps on a couch next to a laptop. | cat, couch, laptop
Zebras and giraffes stand near trees. | zebra, giraffe
A flock of geese flies over the lake. | bird
Knives, forks and spoons lie on the table. | knife, fork, spoon, dining table
Buses and lorries fill the road. | bus, truck
A bus and two busses. | bus
There are mice and keyboards on the desk. | mouse, keyboard, dining table
A row of men in ties. | person, tie
A shelf of books, vases and clocks. | book, vase, clock
A woman peels oranges and carrots into a bowl. | person, orange, carrot, bowl
A pair of scissors beside a toothbrush. | scissors, toothbrush
Skis lean against a wall. | skis
The puppy chews on a frisbee. | dog, frisbee
A herd of cattle and an ox cross the road. | cow
An oven, a microwave oven and a fridge. | oven, microwave, refrigerator
A hair dryer hangs above the sink. | hair drier, sink
A man eats a hot dog. | person, hot dog
Two hot-dogs with mustard | hot dog
A hotdog stand on the corner |
A teddy bear sits on the bed. | teddy bear, bed
A stuffed brown bear with a red ribbon | teddy bear
Polar bears swim in the water. | bear
A roll of toilet paper on a shelf |
A toilet seat is up | toilet
A toy train on a rug |
A train station with nobody on the platform |
A dog runs beside the train tracks. | dog
The last train car is red. | train
A passenger train pulls in. | train
A traffic light hangs over the street. | traffic light
The stop light is red. | traffic light
A stop sign on a street corner | stop sign
A fire hydrant leaks. | fire hydrant
A parking meter on the pavement | parking meter
A bus stop without a roof |
A fire engine with its lights on | truck
A child in a car seat | person
A cable car climbs the hill. |
A boy swings a baseball bat. | person, baseball bat
A baseball player in a white uniform | person
A boy throws a baseball. | person, sports ball
The boys play baseball on a field. | person
A girl kicks a soccer ball. | person, sports ball
A catcher's mitt lies in the dirt. | baseball glove
A woman wears gloves and glasses. | person
A man with a tennis racquet | person, tennis racket
A glass of red wine | wine glass
A slice of carrot cake | cake
Blueberry pancakes on a plate |
A crab cake with sauce |
A wine bottle and a coffee mug | bottle, cup
A girl holds a cupcake. | person, cake
A man rides the ski lift. | person
A lady sits on a chair lift. | person
Someone in an orange shirt | person
An orange and white cat | cat
An orange lies on the plate. | orange
A glass of orange juice | cup or wine glass
An apple and orange on a plate | apple, orange
A dog with an orange collar plays. | dog
A fruit bowl with apples, bananas and an orange | bowl, apple, banana, orange
An Apple computer on a floor | laptop or tv or keyboard or mouse
A man in a suit ties his shoe. | person
A man ties his tie. | person, tie
A boy in a tie-dyed shirt | person
The railroad ties are old. |
A man is up to bat. | person
A dog ducks under a fence. | dog
Ducks swim under a bridge. | bird
She cups her hands around a flower. |
A zebra crossing in a city |
A pony tail and a pink dress |
A woman with her hair in a ponytail | person
A prairie dog peeks out of a hole. |
A pit bull on a leash | dog
A German shepherd jumps. | dog
A shepherd with a flock of sheep | sheep, person
A golden retriever and a border collie | dog
A sheepdog runs. | dog
A bird house in a tree |
A bear statue in front of a shop |
A statue of a large horse |
A boy in a dog costume | person
A baby elephant with its mother | elephant
A baby in a high chair | person, chair
A snowman with a carrot nose | carrot
An aeroplane on the runway | airplane
A paper plane on the floor |
Jets of water rise from a fountain. |
A jet ski on a lake |
A jet flies over the sea. | airplane
A mum pushes a pram beside a grey car. | person, car
A rucksack and an umbrella | backpack, umbrella
A doughnut with icing | donut
A telly on a stand | tv
A flat screen TV above a fireplace | tv
A man on a bike | person, bicycle or motorcycle
A mountain bike leans on a wall. | bicycle
A dirt bike in the mud | motorcycle
A van is parked. | car or truck
A remote control on the sofa | remote, couch
A remote beach |
He holds a remote in his hand. | remote
A remote control car | 
A man plays the keyboard on stage. | person
A cell phone, a smartphone and an iPhone | cell phone
A phone booth in London |
A boy talks on the phone. | person, cell phone
Flowers in a flower bed |
A bed of roses |
A man in the bed of a truck | person, truck
A woman bites into a hamburger. | person, sandwich
Ice cream sandwiches |
A potted plant in a window | potted plant
A power plant at night |
A cruise ship and a kayak | boat
A mother duck and her ducklings | bird
A girl in a cowboy hat | person
A cowboy on a bull | person, cow
There is no dog in this picture. |
A field without any sheep |
A man wearing a bow tie and a tuxedo | person, tie
A skateboarder in an empty concrete bowl | person
It is ten o'clock. |
A clock tower in a town | clock
The man's dog's tail | person, dog
a bowl a cup and a spoon | bowl, cup, spoon
a computer mouse on a mouse pad | mouse
a man on a snowboard and a skier | person, snowboard
people at a ping pong table | person
a surf board on the sand | surfboard
a kite in the sky | kite
a suit case and some luggage | suitcase
a purse and a handbag | handbag
some broccoli in a pan | broccoli
a pizza in a pizza box | pizza
a toaster | toaster
the red and white train | train
Policemen and firefighters on two buses | person, bus
Mens' neckties on three shelves | tie
A mother and child pet a lamb. | person, sheep
A mother giraffe and her baby | giraffe
""".strip().splitlines()


def parts(line):
    """The sentence and the set of objects of a line."""
    sentence, _, objects = line.rpartition("|")
    return sentence.strip(), {one.strip() for one in objects.split(",") if one.strip()}


@pytest.mark.parametrize("line", READ)
def test_a_sentence_names_what_a_reader_finds_in_it(line):
    sentence, objects = parts(line)
    assert objects_in(sentence) == objects


@pytest.mark.parametrize("line", READ)
def test_capitals_and_the_marks_that_a_tokeniser_removes_change_nothing(line):
    sentence, objects = parts(line)
    assert objects_in(tokens(sentence)) == objects == objects_in(sentence.upper())


def test_a_mention_says_where_it_stands():
    sentence = "The man's hot-dogs lie by a Teddy Bear."
    assert [(sentence[one.start:one.stop], one.label) for one in mentions(sentence)] == [
        ("man", "person"), ("hot-dogs", "hot dog"), ("Teddy Bear", "teddy bear")]


def test_there_are_the_80_categories_and_each_is_named_by_its_name():
    assert len(CATEGORIES) == len(set(CATEGORIES)) == 80
    for name in CATEGORIES:
        assert objects_in(f"There is a {name} in the picture.") == {name}


def test_a_reference_excuses_more_than_it_names():
    """It may know an object by an activity, or by a word of several senses."""
    assert objects_in("A surfer in the waves with her glass") == {"person"}
    assert known_by(["A surfer in the waves with her glass"]) == {
        "person", "surfboard", "cup", "wine glass"}
    assert known_by(["A man on a bike", "two vans"]) == {
        "person", "bicycle", "motorcycle", "car", "truck"}
    assert "person" in known_by(["a mother and a baby with their dog"])
    assert known_by(["a hot dog stand", "no dog"]) == set()


SENTENCES = ["A dog chases a ball.", "A man rides a bike.", "A cat and a kitten on a couch, a cat.",
             "A green field."]
OBJECTS = [{"dog", "person"}, {"person", "motorcycle"}, {"couch"}, {"horse"}]


@pytest.mark.parametrize(("sentence", "known"), [
    ("The wives sit at a table.", {"person"}), ("Two dobermans run.", {"dog"}),
    ("Passersby look.", {"person"}), ("Bookshelves line the wall.", {"book"}),
    ("There are cacti in the window.", {"potted plant"})])
def test_irregular_plurals_are_known(sentence, known):
    assert known <= known_by([sentence])


def test_both_figures_are_those_counted_by_hand():
    # named: dog, ball; man, bike; cat, couch; nothing. Absent: ball; nothing; cat; nothing
    assert chair(SENTENCES, OBJECTS) == (2 / 6, 2 / 4)
    assert chair(SENTENCES[:1], [set()]) == (1, 1)
    assert chair(SENTENCES[:1], OBJECTS[:1]) == (0.5, 1)
    assert [one.label for one in absent(SENTENCES[2], OBJECTS[2])] == ["cat"] * 3
    with pytest.raises(Unavailable, match="names an object"):
        chair(SENTENCES[3:], OBJECTS[3:])


def test_the_table_of_metrics_gives_them_where_objects_are_known():
    references = [["a dog plays"], ["a man"], ["a cat"], ["grass"]]
    with_objects, _ = score(SENTENCES, references, objects=OBJECTS)
    assert (with_objects["CHAIRi"], with_objects["CHAIRs"]) == (2 / 6, 2 / 4)
    without, _ = score(SENTENCES, references)
    assert without == {name: value for name, value in with_objects.items() if "CHAIR" not in name}


@pytest.fixture
def root(write_root, tmp_path):
    """Four pictures with references, the first of which name objects, and no instances."""
    root = write_root(tmp_path / "root", {"train": 2, "val": 4})
    images = [{"id": number, "file_name": f"{number + 2:06d}.jpg"} for number in range(1, 5)]
    said = ["Two puppies play.", "A man on a motorbike.", "A sofa.", "A pony in a field."]
    write_json(root / "annotations" / "captions_val.json", {
        "images": images, "annotations": [{"image_id": number, "caption": one}
                                          for number, one in enumerate(said, 1)]})
    return root


def add_instances(root, things):
    """Write an instances file of (image, category) pairs."""
    names = sorted({name for _, name in things})
    write_json(root / "annotations" / "instances_val.json", {
        "categories": [{"id": k, "name": name} for k, name in enumerate(names)],
        "images": [{"id": number, "width": 48, "height": 48} for number in range(1, 5)],
        "annotations": [{"image_id": image, "category_id": names.index(name),
                         "bbox": [1, 1, 9, 9]} for image, name in things]})


def test_without_instances_the_references_alone_know_what_is_there(root):
    assert objects_of(read_split(root, "val")) == [
        {"dog"}, {"person", "motorcycle"}, {"couch"}, {"horse"}]


def test_instances_and_references_are_united(root):
    add_instances(root, [(1, "sports ball"), (1, "dog"), (3, "cat"), (3, "mug"), (3, "star")])
    assert objects_of(read_split(root, "val")) == [
        {"dog", "sports ball"}, {"person", "motorcycle"}, {"couch", "cat", "cup"}, {"horse"}]
    report, _, _ = report_of(SENTENCES, read_split(root, "val"), "by hand")
    assert (report["CHAIRi"], report["CHAIRs"]) == (0, 0)
    assert shown((), ("hot dog", "traffic light")) == {"hot dog", "traffic light"}


def test_a_report_has_both_is_known_as_one_and_shows_them_times_100(root, tmp_path):
    report, _, _ = report_of(SENTENCES, read_split(root, "val"), "by hand")
    assert (report["CHAIRi"], report["CHAIRs"]) == (2 / 6, 2 / 4)
    lines = [line.split() for line in table(report).splitlines()]
    assert ["CHAIRi", "33.3"] in lines and ["CHAIRs", "50.0"] in lines
    write_json(tmp_path / "report.json", report)
    assert is_report(tmp_path / "report.json")


def page_of(root, **options):
    """Return the text of a gallery of the four pictures and their SENTENCES."""
    made = Gallery(root / "page.html", **options)
    for picture, sentence in zip(read_split(root, "val").pictures, SENTENCES, strict=True):
        made.add(picture.file, [sentence])
    made.write("tiny")
    return (root / "page.html").read_text(encoding="utf-8")


def test_a_gallery_strikes_through_what_is_not_there_and_says_so(root):
    references = root / "annotations" / "captions_val.json"
    page = page_of(root, references=references)
    assert re.findall("<s>([^<]*)</s>", page) == ["struck through", "ball", "cat", "kitten", "cat"]
    assert "A dog chases a <s>ball</s>.</p>" in page and 'alt="A dog chases a ball."' in page
    assert "CHAIRi 33.3, CHAIRs 50.0 over the 4 with references" in page
    add_instances(root, [(1, "sports ball")])
    assert "<s>ball" not in page_of(root, references=references)
    (root / "annotations" / "instances_val.json").write_text("{}")
    with pytest.raises(BadInput, match="instances_val.json"):        # before anything is described
        Gallery(root / "page.html", references)


def test_a_gallery_without_references_accuses_nobody(root):
    assert "<s>" not in page_of(root)


def test_a_label_of_several_categories_is_absent_if_none_of_them_is_there():
    assert categories("car or truck") == ["car", "truck"]
    assert not absent("A van", {"truck"}) and not absent("A van", {"car"})
    assert [one.label for one in absent("A van and a car", {"truck", "bus"})] == ["car"]


@pytest.mark.parametrize("name", ["train", "val"])
def test_people_name_hardly_anything_that_neither_instances_nor_others_know(data_root, name):
    """Of real pictures: a word that is misread would accuse them."""
    pictures = read_split(data_root / "coco-sample", name).pictures
    said, known = [], []
    for k in range(5):
        said += [picture.sentences[k] for picture in pictures]
        known += objects_of(Split(name, tuple(replace(one, sentences=(
            *one.sentences[:k], *one.sentences[k + 1:])) for one in pictures)))
    assert chair(said, known).objects < 0.02
