"""List the words of captions for which ImageNet's 1,000 categories stand.

    CONCEPTS    "dog: Chihuahua .. Mexican hairless, dingo" -> any of these says "dog"

Categories are called as torchvision calls them; two dots are all from one to another, in ImageNet's
order. A category may stand for several words: an espresso for coffee and for a cup. Of COCO's
things it has no person, giraffe, skateboard, surfboard, frisbee, snowboard, kite, fork, scissors,
suitcase, hydrant or carrot.
"""

CONCEPTS = """
dog: Chihuahua .. Mexican hairless, dingo, dhole, African hunting dog; cat: tabby .. Egyptian cat;
wolf: timber wolf .. coyote; fox: red fox .. grey fox; lion: lion; tiger: tiger; leopard: leopard,
snow leopard, jaguar, cheetah; bear: brown bear .. sloth bear, giant panda; panda: giant panda;
bird: cock .. great grey owl, black grouse .. black swan, white stork .. albatross; duck: drake,
red-breasted merganser; goose: goose; swan: black swan; chicken: cock, hen, prairie chicken; eagle:
bald eagle; owl: great grey owl; parrot: African grey .. lorikeet; peacock: peacock; flamingo:
flamingo; penguin: king penguin; pelican: pelican; heron: little blue heron .. bittern; ostrich:
ostrich; elephant: tusker, Indian elephant, African elephant; zebra: zebra; horse: sorrel, horse
cart; cow: ox, water buffalo, bison, oxcart; sheep: ram, bighorn; goat: ibex, bighorn; deer:
hartebeest .. gazelle; camel: Arabian camel; llama: llama; pig: hog .. warthog; hippo: hippopotamus;
rabbit: wood rabbit .. Angora; squirrel: fox squirrel, marmot; monkey: orangutan .. squirrel monkey;
fish: tench, goldfish, barracouta .. puffer; shark: great white shark .. hammerhead; turtle:
loggerhead .. box turtle; lizard: banded gecko .. Komodo dragon; snake: thunder snake .. sidewinder;
frog: bullfrog .. tailed frog; spider: black and gold garden spider .. wolf spider, spider web;
butterfly: admiral .. lycaenid; bee: bee; crab: Dungeness crab .. king crab, hermit crab; lobster:
American lobster .. crayfish; seal: sea lion; whale: grey whale, killer whale; kangaroo: wallaby;
ball: baseball, basketball, croquet ball, golf ball, ping-pong ball, rugby ball, soccer ball, tennis
ball, volleyball; baseball: baseball, ballplayer; player: ballplayer, rugby ball, football helmet;
bat: ballplayer; basketball: basketball; soccer: soccer ball; tennis: tennis ball, racket; racket:
racket; football: football helmet; rugby: rugby ball; volleyball: volleyball; golf: golf ball,
golfcart; hockey: puck; helmet: crash helmet, football helmet; ski: ski; skier: ski; snow: ski, alp,
bobsled, dogsled, snowmobile, snowplow, ski mask; sled: bobsled, dogsled; mountain: alp, volcano,
valley, mountain tent; hill: alp, valley; cliff: cliff, promontory; rock: cliff, promontory,
megalith; beach: seashore, sandbar; ocean: seashore, sandbar, promontory, breakwater; sand: sandbar,
seashore; lake: lakeside; water: lakeside, seashore, sandbar, dam, breakwater, dock, pier, canoe,
paddle, speedboat, snorkel, scuba diver, swimming trunks, bathing cap, catamaran, trimaran, yawl,
schooner, lifeboat, gondola; dock: dock, pier, boathouse; pier: pier; boat: canoe, catamaran,
fireboat, gondola, lifeboat, speedboat, schooner, trimaran, yawl, paddle; ship: container ship,
liner, aircraft carrier, schooner, pirate, wreck; kayak: canoe, paddle; canoe: canoe; pool: swimming
trunks, bathing cap, snorkel; diver: scuba diver; car: beach wagon, cab, car mirror, car wheel,
convertible, grille, jeep, limousine, minivan, Model T, police van, racer, sports car; taxi: cab;
van: minivan, moving van, police van, recreational vehicle, ambulance; truck: fire engine, garbage
truck, moving van, pickup, tow truck, trailer truck, snowplow; bus: school bus, minibus, trolleybus;
train: bullet train, electric locomotive, freight car, passenger car, steam locomotive, streetcar;
motorcycle: moped, motor scooter, crash helmet; scooter: moped, motor scooter; bike: mountain bike,
bicycle-built-for-two, tricycle, unicycle; bicycle: mountain bike, bicycle-built-for-two, tricycle,
unicycle; tractor: tractor, harvester, thresher, plow; airplane: airliner, warplane, wing; plane:
airliner, warplane, wing; jet: airliner, warplane; traffic: traffic light; light: traffic light,
spotlight; sign: street sign; street: street sign, traffic light, parking meter, cab, minibus,
trolleybus, streetcar, manhole cover; meter: parking meter; bench: park bench; park: park bench;
fence: picket fence, chainlink fence, worm fence; bridge: steel arch bridge, suspension bridge,
viaduct; building: palace, church, castle, library, cinema, monastery, mosque, prison, bell cote,
barn, greenhouse, planetarium, dome; tower: water tower, bell cote, beacon, obelisk; clock: analog
clock, wall clock, digital clock; church: church, bell cote, monastery, altar; store: bakery,
bookshop, butcher shop, confectionery, grocery store, shoe shop, tobacco shop, toyshop, barbershop;
restaurant: restaurant; house: mobile home, boathouse, tile roof, thatch; barn: barn; wall: stone
wall; field: hay, rapeseed; grass: hay, lawn mower; umbrella: umbrella; backpack: backpack; bag:
backpack, mailbag, plastic bag, purse; purse: purse; tie: Windsor tie, bow tie, bolo tie; suit:
suit, Windsor tie, bow tie, groom; dress: gown, groom, hoopskirt, overskirt; hat: cowboy hat,
sombrero, bonnet, bearskin, mortarboard; shirt: jersey, sweatshirt; coat: trench coat, fur coat, lab
coat; jacket: trench coat; jeans: jean; shorts: swimming trunks; swimsuit: bikini, maillot, maillot
tank suit; bikini: bikini; sunglasses: sunglass, sunglasses; glasses: sunglass, sunglasses; shoe:
running shoe, Loafer, clog, sandal; sock: sock; mask: mask, ski mask, gasmask; uniform: military
uniform, ballplayer; wig: wig; cowboy: cowboy hat, cowboy boot; soldier: military uniform, assault
rifle; gun: rifle, assault rifle, revolver; bottle: beer bottle, pop bottle, water bottle, wine
bottle, pill bottle, whiskey jug, water jug; wine: red wine, wine bottle, goblet; beer: beer bottle,
beer glass; glass: beer glass, goblet, red wine; cup: cup, coffee mug, espresso, measuring cup;
coffee: espresso, coffee mug, coffeepot, espresso maker; bowl: soup bowl, mixing bowl, consomme, hot
pot; plate: plate, carbonara, meat loaf, burrito, mashed potato; food: plate, guacamole .. trifle,
French loaf .. head cabbage, carbonara .. burrito; pizza: pizza; sandwich: cheeseburger, French
loaf; hotdog: hotdog; bread: French loaf, bagel, dough; donut: bagel; cake: trifle, chocolate sauce;
cream: ice cream; banana: banana; orange: orange; apple: Granny Smith; strawberry: strawberry;
pineapple: pineapple; lemon: lemon; fruit: Granny Smith .. pomegranate; broccoli: broccoli;
vegetable: head cabbage .. mushroom; soup: consomme, hot pot; corn: corn; meat: meat loaf, butcher
shop; table: dining table, desk, restaurant; desk: desk, desktop computer; computer: desktop
computer, laptop, notebook, monitor, screen, computer keyboard, mouse; laptop: laptop, notebook;
monitor: monitor, screen, desktop computer; keyboard: computer keyboard, typewriter keyboard, space
bar; mouse: mouse; phone: cellular telephone, dial telephone, pay-phone; television: television,
entertainment center, home theater; tv: television, entertainment center, home theater; remote:
remote control; camera: Polaroid camera, reflex camera, lens cap, tripod; book: book jacket, comic
book, library, bookshop, bookcase; guitar: acoustic guitar, electric guitar; drum: drum; microphone:
microphone; stage: stage, spotlight; piano: grand piano, upright; violin: violin; chair: folding
chair, rocking chair, barber chair, throne; couch: studio couch; sofa: studio couch; bed: studio
couch, four-poster, crib, quilt, pillow, cradle, bassinet; blanket: quilt; pillow: pillow; baby:
diaper, bib, crib, cradle, bassinet; kitchen: microwave, stove, refrigerator, dishwasher, plate
rack, toaster; oven: stove, rotisserie; stove: stove; refrigerator: refrigerator; microwave:
microwave; toaster: toaster; sink: washbasin; bathroom: washbasin, toilet seat, toilet tissue, tub,
bathtub, shower curtain, medicine chest, plunger, soap dispenser; toilet: toilet seat, toilet
tissue, plunger; tub: tub, bathtub; shower: shower curtain; curtain: shower curtain, theater
curtain; window: window screen, window shade; door: sliding door; lamp: table lamp, lampshade; vase:
vase; flower: daisy, yellow lady's slipper, vase, rapeseed; plant: pot; candle: candle; knife:
cleaver, letter opener; spoon: wooden spoon, ladle; pan: frying pan, wok; teddy: teddy; toy: teddy,
toyshop; hair: hair spray, hair slide, wig; swing: swing; playground: swing; fountain: fountain;
balloon: balloon; flag: flagpole; tent: mountain tent; parachute: parachute; cart: shopping cart,
horse cart, golfcart, oxcart; box: carton, crate, packet; basket: shopping basket, hamper; trash:
ashcan; game: joystick; mushroom: mushroom, agaric .. bolete; insect: tiger beetle .. lacewing;
crocodile: African crocodile, American alligator; tray: tray; bucket: bucket; pole: pole, totem
pole; glove: mitten; necklace: necklace; robe: academic gown, vestment, cloak; instrument:
accordion, banjo, bassoon, cello, cornet, flute, French horn, harmonica, harp, oboe, sax, trombone;
shovel: shovel; menu: menu; statue: pedestal, stupa; gas: gas pump; tank: tank; drink: eggnog,
espresso, red wine, cocktail shaker
"""
