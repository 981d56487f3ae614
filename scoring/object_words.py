"""List the words that name COCO's 80 categories of objects, and the double words that name none.

    NAMES      "puppy" -> dog, "hot dog" -> hot dog, "van" -> car or truck
    IMPLIED    "surfer" -> surfboard: what a reference knows, but does not name
    NOT        "dog house": a name inside it names nothing

A caption is accused only by NAMES; that a reference excuses it, IMPLIED says too. Words of several
senses that no neighbour tells apart (glass, board, seat, chicken) are therefore in IMPLIED alone.
All are singular unless they have none; scoring/objects.py adds the plurals. Before a
colon stands a category, or several that the words after it may mean.
"""

NAMES = """
person: person, man, woman, child, boy, girl, guy, lady, gentleman, kid, baby, toddler, infant,
    teenager, teen, adult, youth, youngster, crowd, audience, someone, somebody, player, skier,
    surfer, snowboarder, skateboarder, skater, rider, biker, bicyclist, cyclist, motorcyclist,
    hiker, climber, swimmer, runner, jogger, dancer, singer, musician, guitarist, drummer,
    performer, worker, driver, policeman, policewoman, officer, police officer, fireman,
    firefighter, soldier, cowboy, cowgirl, bride, groom, student, teacher, batter, catcher, umpire,
    referee, goalie, athlete, tourist, pedestrian, spectator, chef, waiter, waitress, vendor,
    passenger, brother, sister, mother, mom, mum, mommy, father, dad, daddy, parent, son, daughter,
    husband, wife, grandmother, grandfather, friend, twin, male, female, wrestler, boxer,
    businessman, fisherman, farmer, doctor, photographer, pilot, sailor, shepherd, clown, snow
    boarder, skate boarder, bull rider, horse rider, bus driver, truck driver, train conductor;
bicycle: bicycle, mountain bike, bmx bike, tricycle, road bike, push bike;
bicycle or motorcycle: bike;
motorcycle: motorcycle, motorbike, motor bike, motor cycle, dirt bike, dirtbike, motocross bike,
    moped, motor scooter, motorscooter, harley davidson, vespa, police bike;
car: car, automobile, sedan, minivan, mini van, taxi, taxi cab, taxicab, cab, hatchback, limousine,
    limo, race car, police car, convertible, sports car, station wagon;
car or truck: van, suv, jeep, ambulance;
airplane: airplane, passenger jet, passenger plane, passenger airplane, aeroplane, plane, air plane,
    jet, airliner, jetliner, biplane, seaplane, aircraft, fighter jet, jumbo jet, propeller plane;
bus: bus, school bus, passenger bus, minibus, tour bus, double decker, double decker bus, motor
    coach, trolley bus, shuttle bus;
bus or train: trolley car, street car, streetcar, tram, tramway;
train: train, passenger train, locomotive, steam engine, train car, train engine, subway train,
    subway car, rail car, railroad car, railway carriage, train carriage;
truck: truck, lorry, pickup, pickup truck, pick up truck, fire truck, firetruck, fire engine, dump
    truck, tow truck, semi truck, tractor trailer, eighteen wheeler, 18 wheeler, food truck, garbage
    truck, monster truck;
boat: boat, ship, sailboat, sail boat, canoe, kayak, ferry, yacht, raft, dinghy, rowboat, row boat,
    motorboat, motor boat, speedboat, speed boat, catamaran, tugboat, tug boat, barge, houseboat,
    house boat, lifeboat, cruise ship, cruise liner, aircraft carrier, banana boat, fishing boat;
traffic light: traffic light, stoplight, stop light, traffic signal, stop signal;
fire hydrant: fire hydrant, hydrant, fireplug, fire plug; stop sign: stop sign, stopsign;
parking meter: parking meter, parking metre; bench: bench, park bench, picnic bench;
bird: bird, duck, duckling, goose, gosling, seagull, sea gull, gull, pigeon, parrot, owl, eagle,
    hawk, swan, rooster, hen, peacock, penguin, ostrich, flamingo, heron, pelican, crow, raven,
    sparrow, robin, finch, hummingbird, humming bird, woodpecker, cockatoo, parakeet, dove, egret,
    stork, vulture, falcon, toucan, emu, macaw, blue jay, songbird;
cat: cat, kitten, kitty, feline, tabby, tomcat;
dog: dog, doggy, doggie, puppy, pup, canine, hound, mutt, pooch, poodle, terrier, labrador, black
    lab, yellow lab, chocolate lab, retriever, german shepherd, collie, bulldog, bull dog, pug,
    dalmatian, chihuahua, beagle, greyhound, rottweiler, dachshund, corgi, spaniel, pitbull, pit
    bull, doberman, dobermann, schnauzer, mastiff, great dane, sheepdog, sheep dog, shih tzu,
    pomeranian, weimaraner, malamute, saint bernard, st bernard, wolfhound, bloodhound, australian
    shepherd, cattle dog, bird dog, wiener dog, weiner dog, boston terrier, toy poodle, boxer dog,
    english setter;
horse: horse, pony, foal, mare, stallion, colt, bronco; sheep: sheep, lamb, ewe, ram;
cow: cow, cattle, bull, calf, ox, steer, heifer, longhorn; elephant: elephant, elephant calf;
giraffe: giraffe, giraffe calf; zebra: zebra;
bear: bear, polar bear, grizzly, grizzly bear, panda, panda bear, bear cub;
backpack: backpack, back pack, rucksack, knapsack; umbrella: umbrella, parasol;
handbag: handbag, hand bag, purse, pocketbook, shoulder bag, tote bag;
tie: tie, necktie, neck tie, bow tie, bowtie;
suitcase: suitcase, suit case, luggage, baggage, briefcase;
frisbee: frisbee, frisby, frisbie, frizbee, flying disc, flying disk, frisbee disc;
skis: ski, cross country skis; snowboard: snowboard, snow board;
sports ball: ball, soccer ball, tennis ball, basketball, football, baseball, volleyball, softball,
    beach ball, soccerball, rugby ball, golf ball, bowling ball, exercise ball;
kite: kite; baseball bat: baseball bat, bat, softball bat;
baseball glove: baseball glove, baseball mitt, catcher mitt, catchers mitt, catcher glove, catchers
    glove, fielder glove, softball glove;
skateboard: skateboard, skate board;
surfboard: surfboard, surf board, boogie board, body board, bodyboard, paddle board, paddleboard;
tennis racket: tennis racket, tennis racquet, tennis raquet, racket, racquet, raquet;
bottle: bottle, baby bottle;
wine glass: wine glass, wineglass, champagne glass, champagne flute, goblet, glass of wine, glass of
    red wine, glass of white wine;
cup or wine glass: glass of, drinking glass; cup: cup, mug, teacup, paper cup; fork: fork;
spoon: spoon, teaspoon; knife: knife, butter knife; bowl: bowl; banana: banana; apple: apple;
carrot: carrot, baby carrot;
sandwich: sandwich, hamburger, cheeseburger, burger, panini, sub sandwich, hoagie;
orange: orange, orange slice, tangerine, clementine, mandarin orange;
broccoli: broccoli, brocolli, broccolli, brocoli; hot dog: hot dog, hotdog, chili dog, frankfurter;
pizza: pizza; donut: donut, doughnut, dough nut;
cake: cake, cupcake, cup cake, cheesecake, birthday cake, wedding cake, carrot cake, chocolate cake,
    dog cake, banana cake, apple cake, pound cake, ice cream cake;
chair: chair, armchair, arm chair, high chair, highchair, rocking chair, lawn chair, beach chair,
    deck chair, sofa chair, stool, barstool, bar stool, office chair;
couch: couch, sofa, loveseat, love seat, settee, sofa bed; chair or couch: recliner;
potted plant: potted plant, pot plant, houseplant, house plant, potted flower, potted tree, potted
    palm, flower pot, flowerpot, planter;
bed: bed, bunk bed, crib, cot, day bed, hospital bed;
dining table: table, dining table, dining room table, desk, coffee table, kitchen table, picnic
    table, tabletop, table top, end table, dinner table;
toilet: toilet, toilet seat, toilet bowl, toilet lid, commode, urinal;
tv: tv, television, television set, tv set, telly, monitor, computer monitor, computer screen, flat
    screen, tv screen, flat screen tv;
laptop or tv or keyboard or mouse: computer, desktop computer, apple computer;
laptop: laptop, lap top, laptop computer, notebook computer, netbook, macbook, mac book, apple
    laptop;
mouse: mouse, computer mouse, apple mouse;
remote: remote, remote control, tv remote, television remote, wii remote, wiimote, wii controller,
    wii control, remote controller, game controller, game remote;
keyboard: keyboard, computer keyboard, apple keyboard;
cell phone: cell phone, cellphone, mobile phone, smartphone, smart phone, iphone, phone, flip phone,
    camera phone;
microwave: microwave, microwave oven;
oven: oven, stove, stovetop, stove top, stove top oven, pizza oven;
oven or toaster or microwave: toaster oven; toaster: toaster; sink: sink, washbasin, wash basin;
refrigerator: refrigerator, fridge, refridgerator, freezer, mini fridge;
book: book, textbook, text book, paperback, cookbook, cook book;
clock: clock, alarm clock, clock tower, clocktower, grandfather clock, clock face; vase: vase;
scissors: scissor, shears;
teddy bear: teddy bear, teddybear, teddy, stuffed bear, toy bear, plush bear, stuffed teddy bear;
hair drier: hair drier, hair dryer, hairdryer, hairdrier, blow dryer, blow drier, blowdryer;
toothbrush: toothbrush, tooth brush
"""

# words of several senses, and what is not done without the object
IMPLIED = """
person: group, team, family, couple, hand, face, arm, leg, finger, head, grandma, grandpa, cop,
    police, pitcher, coach, crew, band, class, army, human, individual, passerby, fan, actor, model,
    artist, lap, mouth, he, she, girlfriend, boyfriend;
bicycle or motorcycle: biker, biking, cycling, cyclist, rider, cycle, wheelie;
bicycle: bmx, bicycling, bicyclist; motorcycle: motorcyclist, motocross, scooter, atv, harley, quad;
car or truck: traffic, jeep, tractor, pickup, semi; car: van, suv, driving, race; truck: trailer;
bus or train: trolley, coach, subway, metro; train: railroad; airplane: fighter, airline;
boat: rowing, rower, sailing, kayaker, kayaking, canoeing, boating, boater, vessel, gondola, rafter,
    rafting, fleet, watercraft, paddling;
traffic light: signal, red light, green light; bird: chicken, turkey, crane, fowl, waterfowl;
dog: husky, lab, setter, boxer; horse: horseback, jockey, polo, equestrian, donkey, mule;
sheep: goat; cow: buffalo, bison, yak; bear: cub; backpack: pack, backpacker, backpacking;
handbag or backpack or suitcase: bag; suitcase: duffel, trunk; tie: suit, tuxedo;
frisbee: disc, disk; skis: skiing, skier; snowboard: snowboarding, snowboarder, boarder;
kite: kiteboarding, parasail;
skateboard: skateboarding, skateboarder, skater, skating, skate, board, longboard;
surfboard: surfing, surfer, surf, board, wakeboard, bodyboarding, windsurfing, boarder;
sports ball: soccer, tennis, basketball, football, baseball, volleyball, golf, rugby, softball,
    pitcher, pitch, polo, golfer;
baseball bat: batter, batting, up to bat, at bat, cricket;
baseball glove: glove, mitt, catcher, outfielder; tennis racket: tennis, badminton, squash;
cup or wine glass: glass, drink, beverage; cup or wine glass or bottle: wine; bottle: beer;
cup: coffee, tea; fork or knife or spoon: silverware, utensil, cutlery; bowl: dish;
sandwich: sub, wrap; hot dog: sausage, bratwurst; cake: dessert, pastry; donut: bagel, pastry;
chair: seat, wheelchair, throne, lounger, chaise; couch: seat, futon, sectional; bench: seat, pew;
potted plant: plant, flower, pot, fern, cactus; bed: bedding, mattress, futon, bunk;
toilet: lavatory, potty; tv: screen, desktop; laptop: notebook; mouse or keyboard: desktop;
remote: controller, wii, nintendo; keyboard: piano, typing; cell phone: telephone, texting;
oven: range; sink: basin; book: reading, novel, magazine, bookshelf, notebook; vase: pot, urn;
teddy bear: stuffed animal, stuffed toy, plush, doll; toothbrush: brushing; hair drier: dryer
"""

# double words in which a name names nothing
NOT = """
hot dog stand, hot dog cart, hot dog vendor, hot dog bun, hotdog stand, hotdog cart, corn dog,
prairie dog, dog house, dog food, dog bed, dog bowl, dog park, dog toy, dog tag, dog collar, dog
leash, dog show, dog treat, dog kennel, dog dish, downward dog, dog sled, cat tail, cat food, cat
litter, cat bed, cat walk, cat fish, cat toy, big cat, hello kitty, pet bed, bird house, bird
feeder, bird bath, bird cage, bird seed, bird nest, bird eye view, birds eye view, angry bird, big
bird, rubber duck, rubber ducky, duck tape, sea horse, saw horse, rocking horse, hobby horse, pommel
horse, carousel horse, horse shoe, horse trailer, horse tail, pony tail, pig tail, lamb chop, leg of
lamb, sheep skin, bull horn, bull eye, bull ring, red bull, cow hide, cow print, cow bell, his calf,
her calf, his calves, her calves, gummy bear, koala bear, care bear, bear hug, build a bear, red
panda, zebra crossing, zebra print, zebra stripe, elephant ear, mickey mouse, minnie mouse, mouse
pad, mouse trap, toilet paper, toilet roll, toilet tissue, toilet brush, toilet paper roll, toilet
paper holder, toilet stall, toilet room, porta potty, train track, train station, train yard, train
depot, train platform, train rail, train bridge, train line, train crossing, train stop, train set,
train terminal, car seat, car park, car wash, car key, cable car, box car, bumper car, car
dealership, roller coaster car, bus stop, bus station, bus depot, bus terminal, bus lane, bus
shelter, truck stop, truck bed, pickup bed, boat house, boat dock, boat ramp, boat yard, gravy boat,
boat launch, ship yard, jet ski, jet skier, jet of water, jets of water, water jet, jet stream,
water ski, paper airplane, paper plane, hang glider, motorcycle helmet, bicycle helmet, bike helmet,
bike rack, bicycle rack, bike lane, bicycle lane, bike path, bicycle path, bike trail, bike ramp,
bike shop, bike shorts, traffic sign, bench press, work bench, umbrella stand, umbrella
hat, railroad tie, railway tie, zip tie, twist tie, tie dye, tie dyed, luggage cart, luggage rack,
baggage claim, baggage cart, baggage carousel, luggage carousel, disc golf, ski lift, ski slope, ski
pole, ski jump, ski resort, ski suit, ski goggle, ski mask, ski boot, ski trail, ski pants, ski
jacket, ski gear, ski area, ski run, ski hill, ski lodge, ski hat, ski cap, ski glove, ski race, ski
mountain, ski course, ski ramp, ski outfit, ski equipment, ski patrol, ski path, ski track, ski
instructor, ski helmet, ski coat, ski clothes, ski chair, ski vest, ski vacation, snowboard ramp,
snowboard boot, skateboard park, skate board park, skateboard ramp, skate board ramp, skateboard
bowl, skate bowl, skating bowl, concrete bowl, cement bowl, super bowl, bowl cut, bowl game, dust
bowl, baseball cap, baseball hat, baseball game, baseball field, baseball diamond, baseball team,
baseball uniform, baseball stadium, baseball jersey, baseball park, baseball match, ball cap, ball
gown, ball park, ball field, ball player, ball game, ball pit, ball court, ball team, disco ball,
cotton ball, crystal ball, ball of yarn, cannon ball, wrecking ball, ball point, ball room, up to
bat, at bat, bat boy, cricket bat, vampire bat, fruit bat, oven mitt, kite string, kite surfing,
kite surfer, kite boarding, kite boarder, squash racket, badminton racket, bottle opener, bottle
cap, bottle rocket, world cup, stanley cup, cup holder, suction cup, fork lift, pitch fork, fork in
the road, knife block, spoon rest, banana bread, banana tree, banana pepper, banana split, banana
leaf, banana leaves, banana plant, banana peel, apple pie, apple juice, apple sauce, apple cider,
apple tree, apple orchard, apple tart, apple logo, apple store, big apple, adam apple, apple
product, pine apple, sandwich shop, sandwich board, sandwich bar, ice cream sandwich, burger king,
burger joint, orange juice, orange soda, orange tree, carrot juice, carrot top, pizza box, pizza
cutter, pizza parlor, pizza place, pizza shop, pizza sauce, pizza restaurant, pizza hut, pizza
dough, pizza delivery, pizza pan, pizza stone, pizza maker, donut shop, doughnut shop, donut store,
pan cake, crab cake, rice cake, fish cake, funnel cake, urinal cake, cake pan, cake stand, cake
knife, cake plate, cake mix, cake topper, chair lift, wheel chair, electric chair, foot stool, step
stool, toad stool, couch potato, sofa table, flower bed, garden bed, river bed, sea bed, lake bed,
raised bed, tanning bed, sun bed, bed of, bed spread, bed sheet, bed room, bed side, bed cover, pool
table, ping pong table, table tennis, table cloth, table lamp, table saw, changing table, operating
table, night table, billiard table, billiards table, snooker table, air hockey table, foosball
table, turn table, water table, tv stand, tv show, tv station, tv tower, tv tray, tv dinner, tv
cabinet, tv antenna, tv camera, tv crew, television camera, television show, television stand, baby
monitor, heart monitor, monitor lizard, laptop bag, laptop case, computer room, computer lab,
computer case, computer bag, computer desk, computer game, remote area, remote control car, remote
control plane, remote control boat, remote control truck, remote control airplane, remote control
helicopter, piano keyboard, musical keyboard, electric keyboard, electronic keyboard, music
keyboard, keyboard player, playing keyboard, playing a keyboard, playing the keyboard, playing
keyboards, plays keyboard, plays a keyboard, plays the keyboard, playing an electric keyboard, phone
booth, phone book, pay phone, phone box, head phone, ear phone, phone pole, phone line, telephone
pole, telephone booth, oven glove, dutch oven, camp stove, wood stove, wood burning stove, book
store, book shelf, book case, book bag, book end, book mark, book stand, face book, check book, o
clock, clock work, scissor kick, scissor lift, ski boat, ski carousel, cat in the hat, ferry
terminal, trailer bed, game table, push car, rocky horse, work horse, toothbrush holder, snow man,
gingerbread man, straw man, man hole, man made, men room, mens room, ladies room, womens room, women
bathroom, boys room, girls room, baby carriage, baby stroller, baby seat, baby swing, baby blue,
baby doll, baby powder, baby grand, baby carrier, baby buggy, baby animal, child seat, kid goat, cd
player, record player, dvd player, mp3 player, music player, video player, cassette player, media
player, pancake batter, cake batter, cowboy hat, cowboy boot, cowboy outfit
"""
