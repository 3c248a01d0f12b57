$( Propositional calculus with implication and negation, after Lukasiewicz. $)
$c ( ) -> ~ wff |- $.
$v p q r s t u $.
wp $f wff p $.
wq $f wff q $.
wr $f wff r $.
ws $f wff s $.
wt $f wff t $.
wu $f wff u $.
wn $a wff ~ p $.
wi $a wff ( p -> q ) $.
ax1 $a |- ( p -> ( q -> p ) ) $.
ax2 $a |- ( ( p -> ( q -> r ) ) -> ( ( p -> q ) -> ( p -> r ) ) ) $.
ax3 $a |- ( ( ~ p -> ~ q ) -> ( q -> p ) ) $.
${
  mp.1 $e |- p $.
  mp.2 $e |- ( p -> q ) $.
  mp $a |- q $.
$}
