$( Peano arithmetic over the propositional calculus. Quantifiers and equality are Tarski's (1965):
   a term is put in for a variable by way of equations, so that substitution needs no definition.
   In ind, "A. x ( x = 0 -> p )" says p of 0, and the part from "A. y" says p of S x. $)
$c A. = 0 S + * term var $.
$v a b c d e x y z v w $.
ta $f term a $.
tb $f term b $.
tc $f term c $.
td $f term d $.
te $f term e $.
vx $f var x $.
vy $f var y $.
vz $f var z $.
vv $f var v $.
vw $f var w $.
tvar $a term x $.
tzero $a term 0 $.
tsuc $a term S a $.
tadd $a term ( a + b ) $.
tmul $a term ( a * b ) $.
weq $a wff a = b $.
wall $a wff A. x p $.

${
  gen.1 $e |- p $.
  gen $a |- A. x p $.
$}
all $a |- ( A. x ( p -> q ) -> ( A. x p -> A. x q ) ) $.
${
  $d x p $.
  free $a |- ( p -> A. x p ) $.
$}
${
  $d x a $.
  some $a |- ~ A. x ~ x = a $.
$}

refl $a |- a = a $.
eucl $a |- ( a = b -> ( a = c -> b = c ) ) $.
eqs $a |- ( a = b -> S a = S b ) $.
addl $a |- ( a = b -> ( a + c ) = ( b + c ) ) $.
addr $a |- ( a = b -> ( c + a ) = ( c + b ) ) $.
mull $a |- ( a = b -> ( a * c ) = ( b * c ) ) $.
mulr $a |- ( a = b -> ( c * a ) = ( c * b ) ) $.

pa1 $a |- ~ 0 = S a $.
pa2 $a |- ( S a = S b -> a = b ) $.
pa3 $a |- ( a + 0 ) = a $.
pa4 $a |- ( a + S b ) = S ( a + b ) $.
pa5 $a |- ( a * 0 ) = 0 $.
pa6 $a |- ( a * S b ) = ( ( a * b ) + a ) $.
${
  $d x y $.
  $d y p $.
  ind $a |- ( A. x ( x = 0 -> p ) -> ( A. x ( p -> A. y ( y = S x -> A. x ( x = y -> p ) ) )
    -> A. x p ) ) $.
$}
