"""Other words for what people draw: who types "bike" means bicycles, and who types "bicycle" icons called bike.

Each line is one thing: Quick, Draw!'s name of its class, then other names that people type for it.
"""

from functools import cache

THINGS = """
aircraft carrier; carrier ship; warship
airplane; plane; aeroplane; aircraft; jet; flight
alarm clock; alarm
ambulance; emergency vehicle
angel; cherub
axe; ax; hatchet
backpack; rucksack; knapsack; school bag
bandage; plaster; band aid; patch
barn; farm building
baseball bat; bat
basket; hamper
bathtub; bath; tub
beard; facial hair
bed; sleep
bee; bumblebee; honeybee
bicycle; bike; cycle
binoculars; field glasses
birthday cake; cake
boomerang; throwing stick
bowtie; bow tie
bracelet; bangle
bread; loaf
broom; besom
bulldozer; digger; excavator
bus; coach; omnibus
calculator; calc
camera; photo; photograph
camouflage; camo
campfire; fire; bonfire; flame
candle; taper
cannon; artillery
car; automobile; auto; motorcar
carrot; vegetable
castle; fortress
cat; kitten; kitty
ceiling fan; ventilator
cell phone; mobile; phone; smartphone; mobile phone; cellphone
chair; seat
chandelier; lustre
church; chapel
clarinet; woodwind
clock; time
cloud; weather
coffee cup; coffee
compass; direction
computer; pc; desktop computer
cookie; biscuit
cooler; cool box; icebox
couch; sofa; settee
cow; cattle
crayon; wax crayon
crown; king; queen
cruise ship; cruise liner
cup; mug; teacup
diamond; gem; jewel; gemstone
dishwasher; dish washer
diving board; springboard
dog; puppy; hound
donut; doughnut
dresser; chest of drawers
drill; power drill
drums; drum; drum kit
dumbbell; barbell; weight; weights; gym
ear; hearing; listen
envelope; mail; email; letter; post
eraser; rubber
eye; view; visibility; see
eyeglasses; glasses; spectacles
face; smiley; emoticon
feather; quill
fire hydrant; hydrant
fireplace; hearth
firetruck; fire engine; fire truck
flashlight; torch
flip flops; sandals
floor lamp; standard lamp
flower; blossom; bloom
flying saucer; ufo
frying pan; pan; skillet
garden hose; hose
golf club; golf
hamburger; burger; cheeseburger
hand; palm
headphones; headset; earphones
helicopter; chopper
hockey puck; puck
hospital; clinic
hot air balloon; balloon
hot dog; hotdog
hourglass; sandglass; egg timer
house; home
house plant; houseplant; potted plant
hurricane; tornado; cyclone; storm
ice cream; icecream; ice cream cone; gelato
jacket; coat
jail; prison
key; unlock; password
keyboard; keys
ladder; steps
lantern; lamp
laptop; notebook computer
light bulb; bulb; lightbulb; idea
lighter; cigarette lighter
lightning; bolt; thunderbolt; flash; thunder
lion; big cat
lipstick; makeup
lollipop; lolly; sucker
mailbox; letterbox; postbox
map; atlas
marker; felt tip; highlighter
megaphone; loudspeaker; bullhorn
mermaid; siren
microphone; mic
monkey; ape
moon; night; crescent
motorbike; motorcycle; moped
mouse; mice
moustache; mustache
mouth; lips
mug; cup; beaker
mushroom; toadstool; fungus
nail; tack
nose; smell
octopus; squid
oven; cooker
paint can; paint; paint bucket
paintbrush; brush
palm tree; palm
pants; trousers
paper clip; paperclip; attachment
parachute; skydiving
pencil; pen; edit; write
picture frame; frame; picture
pig; swine
pillow; cushion
pliers; tongs
police car; patrol car
pond; lake
pool; swimming pool
popsicle; ice lolly; ice pop
postcard; card
potato; spud
power outlet; outlet; socket; plug
purse; handbag
rabbit; bunny; hare
raccoon; racoon
radio; receiver
rain; raindrops; shower
rainbow; spectrum
remote control; remote
rifle; gun; firearm
river; stream
roller coaster; rollercoaster
rollerskates; roller skates; skates
sailboat; sailing boat; yacht; boat
saxophone; sax
school bus; schoolbus
scissors; cut; shears
screwdriver; tool
sea turtle; turtle
see saw; seesaw; teeter totter
shark; jaws
shoe; sneaker; trainer; footwear
shovel; spade
sink; basin; washbasin
skateboard; skating
skull; death; danger
skyscraper; high rise; tower block; building
smiley face; smile; smiley; happy; emoji
snail; slug
snake; serpent
snorkel; diving
snowflake; snow; frost; winter
soccer ball; football; ball
sock; stocking
speedboat; motorboat
squirrel; chipmunk
stairs; stairway; staircase; steps
star; favourite; favorite
stereo; hi fi; hifi
stethoscope; doctor
stitches; suture
stop sign; stop
stove; cooker; hob
string bean; green bean; bean
submarine; sub; u-boat
suitcase; luggage; case; baggage; briefcase
sun; sunshine; sunny
sweater; jumper; pullover
swing set; swing
sword; blade
syringe; injection; vaccine
t-shirt; tshirt; tee; shirt
table; desk
teapot; tea
teddy-bear; teddy; teddy bear
telephone; phone; call
television; tv; telly; screen
tennis racquet; tennis racket; racket
tent; camping
The Eiffel Tower; eiffel tower; paris
The Great Wall of China; great wall
The Mona Lisa; mona lisa
toaster; toast
toilet; wc; loo; lavatory
tooth; teeth; dentist
toothbrush; tooth brush
toothpaste; tooth paste
tractor; farm vehicle
traffic light; traffic lights; stoplight
train; railway; locomotive
tree; plant
truck; lorry
trumpet; horn
umbrella; parasol; brolly
underwear; briefs; pants
van; minivan
vase; pot
violin; fiddle
washing machine; washer; laundry
watermelon; melon
waterslide; water slide
wheel; tyre; tire
windmill; mill
wine bottle; bottle
wine glass; wineglass; wine
wristwatch; watch
zigzag; zig zag
"""


def meanings(text: str) -> tuple[str, ...]:
    """A text, and what else it may be called: all names of the things that it is a name of."""
    asked = " ".join(text.casefold().split())
    others = (name for names in _by_name().get(asked, ()) for name in names)
    return tuple(dict.fromkeys((text, *others)))


@cache
def _by_name() -> dict[str, tuple[tuple[str, ...], ...]]:
    things = [tuple(name.strip() for name in line.split(";")) for line in THINGS.strip().splitlines()]
    found: dict[str, tuple[tuple[str, ...], ...]] = {}
    for names in things:
        for name in names:
            found[name.casefold()] = (*found.get(name.casefold(), ()), names)
    return found
