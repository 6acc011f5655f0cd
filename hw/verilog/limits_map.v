// Comparisons with the bounds of LIMIT + 1 bits, signed, without carries: a number is beyond them
// if not all bits above are as its sign.
(* techmap_celltype = "$gt $lt" *)
module limits_map (A, B, Y);
    parameter A_SIGNED = 0;
    parameter B_SIGNED = 0;
    parameter A_WIDTH = 1;
    parameter B_WIDTH = 1;
    parameter Y_WIDTH = 1;
    parameter _TECHMAP_CELLTYPE_ = "";
    parameter [B_WIDTH-1:0] _TECHMAP_CONSTMSK_B_ = 0;
    parameter [B_WIDTH-1:0] _TECHMAP_CONSTVAL_B_ = 0;

    input [A_WIDTH-1:0] A;
    input [B_WIDTH-1:0] B;
    output [Y_WIDTH-1:0] Y;

    localparam [127:0] BOUND =
        {{(128 - B_WIDTH){_TECHMAP_CONSTVAL_B_[B_WIDTH-1]}}, _TECHMAP_CONSTVAL_B_};
    localparam [127:0] HIGH = (128'd1 << `LIMIT) - 128'd1;
    localparam GREATER = _TECHMAP_CELLTYPE_ == "$gt";

    wire _TECHMAP_FAIL_ = !(A_SIGNED && B_SIGNED && &_TECHMAP_CONSTMSK_B_
        && A_WIDTH > `LIMIT + 1 && BOUND == (GREATER ? HIGH : ~HIGH));

    wire sign = A[A_WIDTH-1];
    generate
        if (A_WIDTH > `LIMIT + 1)
            assign Y = GREATER ? !sign && |A[A_WIDTH-2:`LIMIT] : sign && !(&A[A_WIDTH-2:`LIMIT]);
    endgenerate
endmodule
